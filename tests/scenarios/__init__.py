"""Tables of scenarios, one for each part of the wire."""

from tests.scenarios import (
    accounts,
    attachments,
    bodies,
    conditional,
    cors,
    dates,
    forms,
    headers,
    judgement,
    multipart,
    paths,
    profiles,
    resumable,
    tokens,
    values,
)

SCENARIOS = [
    *headers.SCENARIOS,
    *conditional.SCENARIOS,
    *cors.SCENARIOS,
    *paths.SCENARIOS,
    *judgement.SCENARIOS,
    *tokens.SCENARIOS,
    *profiles.SCENARIOS,
    *values.SCENARIOS,
    *dates.SCENARIOS,
    *bodies.SCENARIOS,
    *forms.SCENARIOS,
    *multipart.SCENARIOS,
    *accounts.SCENARIOS,
    *attachments.SCENARIOS,
    *resumable.SCENARIOS,
]
