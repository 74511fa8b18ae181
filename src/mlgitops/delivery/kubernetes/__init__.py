"""The target `kubernetes`: kubectl's current context, one Deployment for each environment."""

from mlgitops.delivery.kubernetes.driver import KubernetesDriver, Parts
from mlgitops.delivery.kubernetes.kubectl import Kubectl

__all__ = ["Kubectl", "KubernetesDriver", "Parts"]
