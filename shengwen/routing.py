"""The routing table, from the taxonomy file and DOMAIN's intents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.routing import Routing

if TYPE_CHECKING:
    from classify.taxonomy import Taxonomy


def routing_from(taxonomy: Taxonomy) -> Routing:
    """Departments of groups and of tags that name their own; what the file leaves out keeps the default."""
    groups = {group.name: group.department for group in taxonomy.groups if group.department}
    tags = {tag.name: tag.department for tag in taxonomy.tags if tag.department}
    return Routing(groups={**Routing().groups, **groups}, tags=tags)
