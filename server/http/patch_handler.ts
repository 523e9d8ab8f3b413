/** PATCH of an object or subresource (`apiserver/pkg/endpoints/handlers/patch.go`). */
import type { KubeObject } from "../../core/kube/meta.ts";
import { notFound } from "../../core/kube/status.ts";
import { trackOwners, writeFitting } from "../registry/managed_fields.ts";
import type { Target } from "../registry/registry.ts";
import { type Change, updateObject } from "../registry/update.ts";
import type { Answer } from "./answer.ts";
import { applyBody, readConfig } from "./apply_body.ts";
import { readBody } from "./body.ts";
import { type Exchange, findHeader } from "./exchange.ts";
import { parseWriteOptions, type WriteOptions } from "./options.ts";
import { applyPatch, parsePatchType, type PatchType, readPatch } from "./patch_body.ts";
import { getConvertible, representationFor } from "./read_handlers.ts";
import { assertSameName, withDefaults, withNamespace, withoutDuplicateOwners } from "./sent_object.ts";
import { authorizeCreate, getUserAgent, respondUpdated, type UpdateDeps } from "./write_handlers.ts";

/** Answers a PATCH. Server-side apply creates a missing object when the user may create an object of that name. */
export async function handlePatch(deps: UpdateDeps, target: Target, exchange: Exchange): Promise<Answer> {
  const type = parsePatchType(findHeader(exchange, "content-type"));
  const representation = representationFor(exchange, getConvertible(target));
  const bytes = await readBody(exchange);
  const verb = type === "apply" ? "apply" : "patch";
  const options = parseWriteOptions(verb, exchange.query, getUserAgent(exchange));
  const patched = type === "apply"
    ? applyChange(deps, target, exchange, bytes, options)
    : patchChange(deps, target, exchange, { type, bytes }, options);
  const change: Change = (stored) => {
    const changed = withNamespace(target, patched(stored));
    assertSameName(target, changed);
    return withoutDuplicateOwners(exchange, changed, true);
  };
  const { dryRun } = options;
  const updated = type === "apply"
    ? await updateObject(deps, target, change, {
      dryRun,
      ...(target.subresource === "" ? { authorizeCreate: () => authorizeCreate(deps.authorizer, exchange) } : {}),
    })
    : await writeFitting((finish) => updateObject(deps, target, (stored) => finish(change(stored)), { dryRun }));
  return respondUpdated(deps, exchange, target.resource, updated, representation);
}

function applyChange(
  deps: UpdateDeps,
  target: Target,
  exchange: Exchange,
  bytes: Uint8Array,
  options: WriteOptions,
): Change {
  const body = readConfig(bytes);
  exchange.audit?.requestPatch(body.value);
  return (stored) => withDefaults(target.resource, applyBody(deps, target, exchange, stored, body, options));
}

function patchChange(
  deps: UpdateDeps,
  target: Target,
  exchange: Exchange,
  { type, bytes }: { readonly type: Exclude<PatchType, "apply">; readonly bytes: Uint8Array },
  options: WriteOptions,
): Change {
  const patch = readPatch(bytes);
  exchange.audit?.requestPatch(patch.value);
  const { resource } = target;
  return (stored): KubeObject => {
    if (stored === undefined) throw notFound(resource.kind, target.name);
    const patched = applyPatch(exchange, resource.kind, type, stored, patch, options.fieldValidation);
    return trackOwners(deps, target, stored, withDefaults(resource, patched), options.fieldManager);
  };
}
