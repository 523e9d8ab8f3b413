/** Creation: stamp, admit, validate, store (`apiserver/pkg/registry/rest/create.go`, `registry/generic/registry`). */
import type { FieldError } from "../../core/kube/status/field_error.ts";
import { storedForm } from "../../core/kube/wire/stored_form.ts";
import { formatTime, getName, type KubeObject } from "../../core/kube/meta.ts";
import { alreadyExists, forbidden, generateNameConflict, genericServerError } from "../../core/kube/status/status.ts";
import { pathSegmentNameErrors } from "../../core/kube/names.ts";
import {
  validateObjectMeta,
  validateObjectName,
  validateStandardFinalizers,
} from "../../core/kube/rules/object_meta.ts";
import { AlreadyExistsError, RevisionConflictError, type Stored, type Write } from "../storage/storage.ts";
import { createUid, generateName, type RegistryDeps, type Target, toStorageKey } from "./registry.ts";
import type { Resource, WriteContext } from "./resource.ts";
import { assertVersionText, commitWrite, refuseInvalid, sendWarnings, withMeta } from "./write.ts";

/** The number of generated names that are tried before the client has to try again. */
const GENERATE_ATTEMPTS = 8;
/** How often a creation is prepared again because a write that belongs to it does not hold any longer. */
const CONFLICT_ATTEMPTS = 100;

/** The result of a creation: the stored object, or for a dry run the object that would be stored. */
export type Created = { readonly kind: "stored"; readonly stored: Stored } | {
  readonly kind: "dryRun";
  readonly object: KubeObject;
};

/**
 * Creates an object. Throws StatusError 403 (admission), 409, 422, 500 (`resourceVersion` sent).
 *
 * @param sent the decoded object with its defaults
 * @param authorize asked before validating admission, where the request itself was authorized as something else
 */
export async function createObject(
  deps: RegistryDeps,
  target: Target,
  sent: KubeObject,
  dryRun: boolean,
  authorize?: () => Promise<void>,
): Promise<Created> {
  for (let attempt = 1;; attempt++) {
    try {
      return await createOnce(deps, target, sent, dryRun, authorize);
    } catch (error) {
      if (error instanceof RevisionConflictError && attempt < CONFLICT_ATTEMPTS) continue;
      if (!(error instanceof AlreadyExistsError)) throw error;
      if (target.resource.replace !== undefined && !dryRun && attempt < CONFLICT_ATTEMPTS) continue;
      const name = error.key.slice(error.key.lastIndexOf("/") + 1);
      const hasBase = (sent.metadata.generateName ?? "") !== "";
      if (hasBase && (sent.metadata.name ?? "") === "" && attempt < GENERATE_ATTEMPTS) continue;
      const refuse = hasBase ? generateNameConflict : alreadyExists;
      throw refuse(target.resource.kind, name, await isBeingDeleted(deps, target, name));
    }
  }
}

async function createOnce(
  deps: RegistryDeps,
  target: Target,
  sent: KubeObject,
  dryRun: boolean,
  authorize?: () => Promise<void>,
): Promise<Created> {
  const { resource } = target;
  const context: WriteContext = { user: target.user, now: deps.clock.now() };
  // Admission and guard are called before a name is generated and before anything is validated.
  const admitted = await mutate(deps, target, sent);
  await resource.guard?.(admitted, undefined, target);
  if (authorize !== undefined) assertVersionText(admitted);
  const { strategy } = resource;
  const stamped = stamp(deps, target, admitted, context.now);
  const prepared = strategy.prepareForCreate?.(stamped, context) ?? stamped;
  const name = getName(prepared);

  await target.pause?.();
  await strategy.prepareValidation?.(prepared);
  refuseInvalid(target, prepared, [
    ...(strategy.validateBeforeMetadata?.(prepared) ?? []),
    ...metadataErrors(resource, prepared),
    ...(strategy.validateCreate?.(prepared) ?? []),
  ]);
  // The path rules are checked last and alone, as in the API machinery.
  refuseInvalid(
    target,
    prepared,
    resource.strategy.anyMetadata === true
      ? validateObjectMeta(prepared.metadata, {
        namespaced: resource.kind.namespaced,
        validateName: pathSegmentNameErrors,
      })
      : validateObjectName(prepared.metadata, pathSegmentNameErrors),
  );

  sendWarnings(target, prepared, undefined);
  await authorize?.();
  const others: Write[] = [];
  const refusal = await deps.admission.validate({
    ...toAdmissionRequest(target, name),
    object: prepared,
    alsoWrite: (write) => others.push(write),
  });
  if (refusal !== undefined) throw forbidden(resource.kind, name, refusal.message);

  const version = sent.metadata.resourceVersion ?? "";
  // A PUT or apply that creates an object is handled as an update, which does not check this.
  if (!dryRun && authorize === undefined && /^\d+$/.test(version) && Number(version) !== 0) {
    throw genericServerError("resourceVersion should not be set on objects to be created");
  }
  await target.pause?.();
  const key = toStorageKey(resource, target.namespace, name);
  const earlier = resource.replace === undefined ? undefined : await deps.storage.get(key);
  const fresh = storedForm(
    resource.kind.schema,
    earlier === undefined ? prepared : replaceEarlier(resource, prepared, earlier),
  );
  if (dryRun) {
    if (earlier === undefined && await deps.storage.get(key) !== undefined) throw new AlreadyExistsError(key);
    // An object that is not stored gets no new version.
    return { kind: "dryRun", object: version === "" ? fresh : withMeta(fresh, { resourceVersion: version }) };
  }
  const write: Write = earlier === undefined
    ? { kind: "create", key, object: fresh }
    : { kind: "update", key, object: fresh, expectedRevision: earlier.revision };
  const { current } = await commitWrite(deps, target, write, { others });
  return { kind: "stored", stored: current! };
}

/** Returns a new object as it replaces an earlier one, whose identity it keeps. */
function replaceEarlier(resource: Resource, prepared: KubeObject, { object: earlier }: Stored): KubeObject {
  const { uid, creationTimestamp } = earlier.metadata;
  return withMeta(resource.replace?.(prepared, earlier) ?? prepared, { uid, creationTimestamp });
}

function metadataErrors({ kind, strategy }: Resource, object: KubeObject): readonly FieldError[] {
  const { metadata } = object;
  if (strategy.anyMetadata === true) return [];
  return [
    ...validateObjectMeta(metadata, {
      namespaced: kind.namespaced,
      validateName: (value, prefix) => strategy.validateName?.(value, prefix, object) ?? [],
    }),
    ...(strategy.anyFinalizer === true ? [] : validateStandardFinalizers(metadata)),
  ];
}

/** Sets the metadata that only the server may set, and drops the client's values of it. */
function stamp(deps: RegistryDeps, target: Target, sent: KubeObject, now: Date): KubeObject {
  const { name = "", generateName: base = "" } = sent.metadata;
  const given = name === "" && base !== "" ? generateName(base, deps.random) : name;
  return withMeta(sent, {
    name: given === "" ? undefined : given,
    namespace: target.resource.kind.namespaced ? target.namespace : undefined,
    selfLink: undefined,
    uid: createUid(deps.random),
    resourceVersion: undefined,
    creationTimestamp: formatTime(now),
    deletionTimestamp: undefined,
    deletionGracePeriodSeconds: undefined,
  });
}

async function mutate(deps: RegistryDeps, target: Target, object: KubeObject): Promise<KubeObject> {
  const name = getName(object);
  const answer = await deps.admission.mutate({ ...toAdmissionRequest(target, name), object });
  if ("message" in answer) {
    // Admission's name for an object without a name (`apiserver/pkg/admission/errors.go`).
    throw forbidden(target.resource.kind, name || object.metadata.generateName || "Unknown", answer.message);
  }
  return answer.object;
}

function toAdmissionRequest(target: Target, name: string) {
  return {
    operation: "CREATE" as const,
    kind: target.resource.kind,
    subresource: target.subresource,
    name,
    namespace: target.namespace,
    user: target.user,
    onWarning: target.onWarning,
    address: target.address,
  };
}

async function isBeingDeleted(deps: RegistryDeps, target: Target, name: string): Promise<boolean> {
  const stored = await deps.storage.get(toStorageKey(target.resource, target.namespace, name));
  return stored?.object.metadata.deletionTimestamp !== undefined;
}
