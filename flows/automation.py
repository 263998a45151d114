"""The automation that acts on what a night only announced: drift calls for a training. Describes it, and tells a server."""

from __future__ import annotations

from uuid import UUID

from prefect import get_client
from prefect.events import AutomationCore, EventTrigger, Posture, RunDeployment

from flows.events import ACTION_LABEL, VERDICT, resource_id

CALLS_FOR_TRAINING = ("warm-start", "refit")


def automation_of(segmentation: str, deployment_id: UUID) -> AutomationCore:
    """Describe the automation of a segmentation: an announced verdict starts its training, on the verdict's date.

    A night that acts on its verdicts has another label on its event, which the trigger does not match.

    Parameters
    ----------
    segmentation : str
    deployment_id : UUID
        Of its training.
    """
    return AutomationCore(
        name=f"gmmdask: train {segmentation}",
        description=f"Trains a model of {segmentation} when a night announces that drift calls for it.",
        trigger=EventTrigger(
            expect={f"{VERDICT}{verdict}" for verdict in CALLS_FOR_TRAINING},
            match={"prefect.resource.id": resource_id(segmentation), ACTION_LABEL: "announce"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[
            RunDeployment(
                source="selected",
                deployment_id=deployment_id,
                parameters={"dt": "{{ event.payload.dt }}"},
                job_variables=None,
            )
        ],
    )


def apply_automation(segmentation: str, deployment_id: UUID) -> UUID:
    """Create or renew the automation of a segmentation and return its id; one that was disabled stays so."""
    wanted = automation_of(segmentation, deployment_id)
    with get_client(sync_client=True) as client:
        known = client.read_automations_by_name(wanted.name)
        if not known:
            return client.create_automation(wanted)
        client.update_automation(known[0].id, wanted.model_copy(update={"enabled": known[0].enabled}))
        for superfluous in known[1:]:
            client.delete_automation(superfluous.id)
        return known[0].id
