/** Prepares the object in a request for the registry: namespace, name, owners and defaults. */
import { duplicateOwnersWarning, withDistinctOwners } from "../../core/kube/owner_references.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import { badRequest } from "../../core/kube/status.ts";
import type { Target } from "../registry/registry.ts";
import type { Resource } from "../registry/resource.ts";
import { withMeta } from "../registry/write.ts";
import type { Exchange } from "./exchange.ts";

/**
 * Sets the namespace of the URL. A different one in the body is refused, and one in the body is dropped when the URL has
 * none (`registry/rest/meta.go`, `EnsureObjectNamespaceMatchesRequestNamespace`).
 */
export function withNamespace({ namespace }: Pick<Target, "namespace">, sent: KubeObject): KubeObject {
  const named = sent.metadata.namespace ?? "";
  if (named !== "" && namespace !== "" && named !== namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  return withMeta(sent, { namespace: namespace === "" ? undefined : namespace });
}

/** Throws StatusError 400 unless the object has the name in the URL. */
export function assertSameName(target: Target, sent: KubeObject): void {
  const name = getName(sent);
  if (name === "") {
    throw badRequest(
      `the name of the object (${target.name} based on URL) was undeterminable: name must be provided`,
    );
  }
  if (name !== target.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${target.name})`);
  }
}

/** Removes duplicate owners, with a warning; upstream checks a patch only after mutating admission. */
export function withoutDuplicateOwners(exchange: Exchange, sent: KubeObject, afterAdmission: boolean): KubeObject {
  const { object, duplicates } = withDistinctOwners(sent);
  if (duplicates.length > 0) exchange.warnings.add(duplicateOwnersWarning(duplicates, afterAdmission));
  return object;
}

/** Applies the defaults of the object's kind. */
export function withDefaults(resource: Resource, object: KubeObject): KubeObject {
  return resource.strategy.applyDefaults?.(object) ?? object;
}
