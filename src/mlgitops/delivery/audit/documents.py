"""An audit in the forms that others read: an in-toto statement with SLSA provenance, an ML-BOM.

Plain JSON, written by hand: the libraries of both know no model card. The same audit gives the
same bytes. Sources: https://slsa.dev/spec/v1.0/provenance and
https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from mlgitops.delivery.bundle import MODEL
from mlgitops.model.audit import CheckState, encode_audit
from mlgitops.model.statement import STATEMENT_TYPE
from mlgitops.writing import replace_file

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.model.audit import Audit, AuditedModel, Ingredient
    from mlgitops.model.lineage import ReleasedMetric

PROVENANCE_TYPE = "https://slsa.dev/provenance/v1"
#: What the fields below `buildDefinition` mean: a page of the toolkit, whose address is another
#: one for every copy of it.
BUILD_TYPE = "mlgitops:docs/how-to/audit#training-as-a-build"
#: Who trained is not proved by git: the builder is whoever could push to the branch.
BUILDER = "mlgitops:docs/how-to/audit#who-trained"
_NAMESPACE = uuid.UUID("6f1d5b9e-6a07-5c3f-9a86-0f1f5f0b7d11")
_DIGITS = 32  # of an md5; a folder's, in DVC, goes on with `.dir`


def write_documents(audit: Audit, folder: Path) -> list[Path]:
    """Write `audit.json`, and two documents for each model, into ``folder``; return the files.

    A model's are named by its sha256 and revision, so that those of several audits, and of the
    same bytes with other code, can stand in one folder.
    Where a check of the model itself fails there are none: they would say that this commit, these
    data and parameters made these bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {folder / "audit.json": encode_audit(audit)}
    for model in filter(_is_proved, audit.models):
        name = f"{model.model}-{model.sha256[:12]}-{model.revision[:12]}"
        files[folder / f"{name}.provenance.json"] = _encode(make_provenance(audit, model))
        files[folder / f"{name}.cdx.json"] = _encode(make_bill(audit, model))
    for path, content in files.items():
        replace_file(path, content)
    return list(files)


def _is_proved(model: AuditedModel) -> bool:
    """Tell whether no check contradicts that model and imported data are those of its commit."""
    return not any(
        check.state is CheckState.FAILS and check.name.startswith(("model: ", "data: "))
        for check in model.checks
    )


def make_provenance(audit: Audit, model: AuditedModel) -> dict[str, Any]:
    """Make the in-toto statement of how ``model`` was made, as git says: no build service did."""
    commit = {
        "name": "source",
        "uri": f"git:{model.revision}",
        "digest": {"gitCommit": model.revision},
    }
    digest = {"sha256": model.sha256} | ({"md5": model.md5} if model.md5 else {})
    when = model.trained.at if model.trained else None
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": f"{audit.project}{MODEL}", "digest": digest}],
        "predicateType": PROVENANCE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "project": audit.project,
                    "revision": model.revision,
                    "parameters": model.parameters,
                },
                "internalParameters": {
                    "environment": audit.environment,
                    "desiredBy": model.desired_by.sha if model.desired_by else None,
                    "ledger": audit.ledger.commit,
                    "release": model.version,
                },
                "resolvedDependencies": [commit, *map(_describe_dependency, model.ingredients)],
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"mlgitops": audit.toolkit}},
                "metadata": {"invocationId": model.revision}
                | ({"finishedOn": when} if when else {}),
                "byproducts": _list_byproducts(model),
            },
        },
    }


def make_bill(audit: Audit, model: AuditedModel) -> dict[str, Any]:
    """Make the CycloneDX 1.6 bill of materials of ``model``, with its model card."""
    reference = f"model:{model.sha256}"
    data = [item for item in model.ingredients if item.kind == "data"]
    files = [item for item in model.ingredients if item.kind != "data"]
    components = [
        *map(_describe_data, data),
        *map(_describe_file, files),
        *(_describe_package(package.name, package.version) for package in model.packages),
    ]
    parts = [component["bom-ref"] for component in components]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{model.revision}:{model.sha256}')}",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [
                    {"type": "application", "name": "mlgitops", "version": audit.toolkit}
                ]
            },
            "component": {
                "type": "machine-learning-model",
                "bom-ref": reference,
                "name": model.model,
                "version": model.version or model.sha256[:12],
                "hashes": _hash("SHA-256", model.sha256),
                "modelCard": _make_card(
                    model, [item["bom-ref"] for item in components[: len(data)]]
                ),
                "properties": _list_properties(audit, model),
            },
        },
        "components": components,
        "dependencies": [
            {"ref": reference, "dependsOn": parts},
            *({"ref": part} for part in parts),
        ],
    }


def _describe_dependency(item: Ingredient) -> dict[str, Any]:
    digest = item.digest[:_DIGITS] if item.algorithm == "md5" else item.digest
    described: dict[str, Any] = {"name": item.path, "digest": {item.algorithm: digest}}
    notes = {"kind": item.kind, "dvc": item.digest.endswith(".dir")}
    return described | {"annotations": notes | _name_source(item)}


def _name_source(item: Ingredient) -> dict[str, str]:
    """Name the repository, commit and path that data were imported from, where they were."""
    source = item.imported
    if source is None:
        return {}
    named = {"repository": source.repository, "commit": source.commit, "path": source.path}
    return {f"imported-{name}": value for name, value in named.items()}


def _list_byproducts(model: AuditedModel) -> list[dict[str, Any]]:
    """List the verdict's statement, where the release names one."""
    lineage = model.lineage
    if lineage is None or lineage.statement is None:
        return []
    return [{"name": "verdict", "digest": {"sha256": lineage.statement}}]


def _describe_data(item: Ingredient) -> dict[str, Any]:
    return {
        "type": "data",
        "bom-ref": f"data:{item.path}",
        "name": item.path,
        "hashes": _hash("MD5", item.digest[:_DIGITS]),
        "data": [{"type": "dataset", "name": item.path}],
    } | ({"properties": _list_source(item)} if item.imported else {})


def _list_source(item: Ingredient) -> list[dict[str, str]]:
    return [
        {"name": f"mlgitops:{name}", "value": value} for name, value in _name_source(item).items()
    ]


def _describe_file(item: Ingredient) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": f"file:{item.path}",
        "name": item.path,
        "hashes": _hash("SHA-256", item.digest),
    }


def _describe_package(name: str, version: str) -> dict[str, Any]:
    address = f"pkg:pypi/{name}@{version.replace('+', '%2B').replace('!', '%21')}"
    return {
        "type": "library",
        "bom-ref": address,
        "name": name,
        "version": version,
        "purl": address,
    }


def _make_card(model: AuditedModel, datasets: list[str]) -> dict[str, Any]:
    metrics = model.lineage.metrics if model.lineage else ()
    described = [entry for metric in metrics for entry in _describe_metric(metric)]
    return {
        "modelParameters": {"datasets": [{"ref": reference} for reference in datasets]},
        "quantitativeAnalysis": {"performanceMetrics": described},
    }


def _describe_metric(metric: ReleasedMetric) -> list[dict[str, Any]]:
    """Describe a metric's value, and its delta with the interval, which is the delta's."""
    described: list[dict[str, Any]] = [{"type": metric.name, "value": repr(metric.value)}]
    if metric.delta is not None:
        delta: dict[str, Any] = {"type": f"{metric.name} (delta)", "value": repr(metric.delta)}
        if metric.interval is not None:
            low, high = repr(metric.interval.low), repr(metric.interval.high)
            delta["confidenceInterval"] = {"lowerBound": low, "upperBound": high}
        described.append(delta)
    return described


def _list_properties(audit: Audit, model: AuditedModel) -> list[dict[str, str]]:
    lineage = model.lineage
    failure = audit.find_first(CheckState.FAILS)
    values = {
        "environment": audit.environment,
        "revision": model.revision,
        "desired-by": model.desired_by.sha if model.desired_by else "",
        "verdict": (lineage.verdict if lineage else None) or "",
        "approvers": ", ".join(a.login for a in model.training.approvals) if model.training else "",
        "approvers-as-released": ", ".join((lineage.approvers if lineage else None) or ()),
        "signature": model.signature or "",
        "first-failure": failure.name if failure else "",
        **{f"parameter:{name}": json.dumps(value) for name, value in model.parameters.items()},
    }
    return [{"name": f"mlgitops:{name}", "value": value} for name, value in values.items()]


def _hash(algorithm: str, digest: str) -> list[dict[str, str]]:
    return [{"alg": algorithm, "content": digest}]


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
