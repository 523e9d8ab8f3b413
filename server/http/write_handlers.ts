/** The handlers of POST, PUT and DELETE, and checks of a sent object that PATCH and reviews share. */
import { jsonBytes } from "../../core/kube/wire/object_json.ts";
import { deleteOptionsSchema } from "../../core/kube/kinds/mod.ts";
import {
  type DeleteOptions,
  duplicateOwnersWarning,
  getName,
  type KubeObject,
  type StatusDetails,
  withDistinctOwners,
} from "../../core/kube/meta.ts";
import { omitUndefined } from "../../core/lib/record.ts";
import { badRequest, forbidden, internalError } from "../../core/kube/status/status.ts";
import { UNSAFE_DELETE } from "../../core/kube/rules/options.ts";
import { type Authorizer, createDeniedError } from "../authz/authorizer.ts";
import { deleteCollection, deleteObject } from "../registry/delete.ts";
import { assertSelectable } from "../registry/read.ts";
import type { RegistryDeps, Target } from "../registry/registry.ts";
import type { Resource } from "../registry/resource.ts";
import { type Updated, updateObject } from "../registry/update.ts";
import { createObject, trackOwners, withMeta, writeFitting } from "../registry/write.ts";
import type { Answer } from "./answer.ts";
import { decodeBody, decodeOptionsBody, readSent } from "./body.ts";
import { type Exchange, findHeader, getUserAgent } from "./exchange.ts";
import { parseBodyMediaType, type Representation } from "./negotiation.ts";
import { assertDeleteOptions, parseCollectionOptions, parseDeleteOptions, parseWriteOptions } from "./options.ts";
import { toAttributes } from "./request_info.ts";
import { chooseRepresentation, getConvertible, LIST_CONVERTIBLE, respondList, respondStored } from "./read_handlers.ts";
import { respondWire, STATUS_WIRE } from "./respond.ts";

export async function handleCreate(deps: RegistryDeps, target: Target, exchange: Exchange): Promise<Answer> {
  const representation = chooseRepresentation(exchange, getConvertible(target));
  const mediaType = parseBodyMediaType(findHeader(exchange, "content-type"));
  const body = await readSent(exchange);
  const options = parseWriteOptions("create", exchange.query, getUserAgent(exchange));
  const sent = decodeBody(exchange, target.resource.kind, mediaType, body, options.fieldValidation);
  exchange.audit?.requestObject(target.resource.kind, withDefaults(target.resource, sent));
  await exchange.pause();
  const fresh = withDefaults(target.resource, withoutDuplicateOwners(exchange, withNamespace(target, sent), false));
  const object = trackOwners(deps, target, undefined, withoutSystemFields(fresh), options.fieldManager);
  const created = await writeFitting((finish) => createObject(deps, target, finish(object), options.dryRun));
  if (created.kind === "stored") {
    return respondStored(deps, exchange, 201, target.resource, created.stored, representation);
  }
  return respondUnstored(deps, exchange, 201, target.resource, created.object, representation);
}

/** Dependencies of PUT, PATCH and DELETE, which sometimes need further permissions. */
export interface UpdateDeps extends RegistryDeps {
  readonly authorizer: Pick<Authorizer, "authorize">;
}

/** Answers a PUT of an object or subresource. */
export async function handleUpdate(deps: UpdateDeps, target: Target, exchange: Exchange): Promise<Answer> {
  const representation = chooseRepresentation(exchange, getConvertible(target));
  const body = await readSent(exchange);
  const options = parseWriteOptions("update", exchange.query, getUserAgent(exchange));
  const mediaType = parseBodyMediaType(findHeader(exchange, "content-type"));
  const sent = decodeBody(exchange, target.resource.kind, mediaType, body, options.fieldValidation);
  exchange.audit?.requestObject(target.resource.kind, withDefaults(target.resource, sent));
  await exchange.pause();
  const placed = withNamespace(target, sent);
  assertSameName(target, placed);
  const object = withDefaults(target.resource, withoutDuplicateOwners(exchange, placed, false));
  const change = (stored: KubeObject | undefined): KubeObject =>
    trackOwners(deps, target, stored, object, options.fieldManager);
  const updated = await writeFitting((finish) =>
    updateObject(deps, target, (stored) => finish(change(stored)), {
      dryRun: options.dryRun,
      expectedUid: object.metadata.uid,
      ...(target.subresource === "" && target.resource.strategy.createOnUpdate
        ? { authorizeCreate: () => authorizeCreate(deps.authorizer, exchange) }
        : {}),
    })
  );
  return respondUpdated(deps, exchange, target.resource, updated, representation);
}

/**
 * Checks the permission to create, which a PUT or apply of a missing object needs
 * (`apiserver/pkg/endpoints/handlers/update.go`, `withAuthorization`).
 */
export async function authorizeCreate(authorizer: Pick<Authorizer, "authorize">, exchange: Exchange): Promise<void> {
  const attributes = { ...toAttributes(exchange.info), verb: "create" };
  const decision = await authorizer.authorize(exchange.user, attributes);
  if (decision.kind !== "allow") throw createDeniedError(exchange.user, attributes, decision.reason);
}

/** Answers a DELETE of one object with a Status, or with the object while finalizers keep it. */
export async function handleDelete(deps: UpdateDeps, target: Target, exchange: Exchange): Promise<Answer> {
  const representation = chooseRepresentation(exchange, getConvertible(target));
  const options = await readDeleteOptions(exchange, false);
  if (options[UNSAFE_DELETE] === true) await assertUnsafeDelete(deps.authorizer, target, exchange);
  const deleted = await deleteObject(deps, target, options);
  const { kind } = target.resource;
  if (deleted.kind === "marked") {
    // Old clients that request a cascade get 202 when it is not complete yet (`endpoints/handlers/delete.go`).
    const status = options.orphanDependents === false ? 202 : 200;
    return respondUnstored(deps, exchange, status, target.resource, deleted.object, representation);
  }
  if (target.resource.deletion?.returnsObject === true) {
    return respondUnstored(deps, exchange, 200, target.resource, deleted.previous, representation);
  }
  const details: StatusDetails = {
    name: target.name,
    ...(kind.group === "" ? {} : { group: kind.group }),
    kind: kind.plural,
    ...omitUndefined({ uid: deleted.previous.metadata.uid }),
  };
  const status = { metadata: {}, status: "Success", details };
  return respondWire(exchange, 200, STATUS_WIRE, status, { ...representation, as: "object" });
}

/**
 * Checks the permission to delete an object even if the storage cannot read it
 * (`apiserver/pkg/endpoints/handlers/delete.go`, `authorizeUnsafeDelete`); some resources of kube-apiserver do not
 * support this.
 */
async function assertUnsafeDelete(
  authorizer: Pick<Authorizer, "authorize">,
  { resource, name }: Target,
  { user, info }: Exchange,
): Promise<void> {
  if (resource.deletion?.withoutUnsafe === true) {
    throw internalError(`no unsafe deleter provided, can not honor ${UNSAFE_DELETE}`);
  }
  const verb = "unsafe-delete-ignore-read-errors";
  const decision = await authorizer.authorize(user, { ...toAttributes(info), verb });
  if (decision.kind === "allow") return;
  throw forbidden(resource.kind, name, `not permitted to do "${verb}", reason: ${decision.reason}`);
}

/** Answers a DELETE of a collection with the list of the deleted objects. */
export async function handleDeleteCollection(
  deps: RegistryDeps,
  target: Target,
  exchange: Exchange,
): Promise<Answer> {
  const representation = chooseRepresentation(exchange, LIST_CONVERTIBLE);
  const query = parseCollectionOptions(exchange.query, false);
  assertSelectable(target.resource, query.fields);
  const options = await readDeleteOptions(exchange, true);
  const { objects, ...listed } = await deleteCollection(deps, target, query, options, exchange.signal);
  const list = { ...listed, items: objects.map((object) => ({ object, bytes: jsonBytes(object) })) };
  return respondList(deps, exchange, target.resource, list, representation);
}

/** Answers an update, with 201 if it created the object. */
export function respondUpdated(
  deps: RegistryDeps,
  exchange: Exchange,
  resource: Resource,
  updated: Updated,
  representation: Representation,
): Promise<Answer> {
  const status = updated.created ? 201 : 200;
  return updated.kind === "stored"
    ? respondStored(deps, exchange, status, resource, updated.stored, representation)
    : respondUnstored(deps, exchange, status, resource, updated.object, representation);
}

/** Answers with an object that is not in the storage, or no longer there. */
function respondUnstored(
  deps: RegistryDeps,
  exchange: Exchange,
  status: number,
  resource: Resource,
  object: KubeObject,
  representation: Representation,
): Promise<Answer> {
  const stored = { object, bytes: jsonBytes(object) };
  return respondStored(deps, exchange, status, resource, stored, representation);
}

async function readDeleteOptions(exchange: Exchange, ofCollection: boolean): Promise<DeleteOptions> {
  const body = await readSent(exchange);
  let options: DeleteOptions;
  if (body instanceof Uint8Array && body.length === 0) {
    options = parseDeleteOptions(exchange.query);
  } else {
    const mediaType = parseBodyMediaType(findHeader(exchange, "content-type"));
    options = decodeOptionsBody(DELETE_OPTIONS, mediaType, body);
    exchange.audit?.requestObject(AUDITED_DELETE_OPTIONS, options);
  }
  assertDeleteOptions(options, ofCollection);
  return options;
}

/** The type of DeleteOptions in kube-apiserver's audit log, for any version. */
const AUDITED_DELETE_OPTIONS = { kind: "DeleteOptions", apiVersion: "meta.k8s.io/__internal" };

/** DeleteOptions, which mean the same in every API version. */
const DELETE_OPTIONS = { group: "meta.k8s.io", version: "v1", kind: "DeleteOptions", schema: deleteOptionsSchema };

/** Removes the fields that only the server may set (apiserver `rest.WipeObjectMetaSystemFields`). */
export function withoutSystemFields(sent: KubeObject): KubeObject {
  const { uid, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, selfLink } = sent.metadata;
  const isClean =
    (uid ?? creationTimestamp ?? deletionTimestamp ?? deletionGracePeriodSeconds ?? selfLink) === undefined;
  if (isClean) return sent;
  return withMeta(sent, {
    uid: undefined,
    creationTimestamp: undefined,
    deletionTimestamp: undefined,
    deletionGracePeriodSeconds: undefined,
    selfLink: undefined,
  });
}

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
