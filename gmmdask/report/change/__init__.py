"""What a report tells of change: whether there was any, what moved, who was trained for it, what became of the segments.

Works on what was read already; asks the warehouse nothing.
"""
