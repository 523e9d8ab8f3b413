/**
 * What all generic verbs share: their dependencies, the interfaces of admission and storage that they use, the object
 * of a request and its storage key, and new uids and names.
 */
import type { Clock, Logger, Random } from "../../core/ports.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { Kind } from "../../core/kube/schema.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Conversion, Resource, StoredResource } from "./resource.ts";
import { badRequest, forbidden } from "../../core/kube/status/status.ts";
import { pathSegmentNameErrors } from "../../core/kube/names.ts";
import { goQuote } from "../../core/lib/go_text.ts";
import { jsonBytes } from "../../core/kube/wire/object_json.ts";
import type { Storage, StorageEvent, Stored, Write } from "../storage/storage.ts";

/** One write as admission sees it. */
export interface AdmissionRequest {
  readonly operation: "CREATE" | "UPDATE" | "DELETE";
  readonly kind: Kind;
  /** Empty for the main resource. */
  readonly subresource: string;
  readonly name: string;
  /** The namespace; empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly user: UserInfo;
  /** The new object; absent for DELETE. */
  readonly object?: KubeObject;
  /** The stored object; absent for CREATE. */
  readonly oldObject?: KubeObject;
  readonly onWarning?: ((text: string) => void) | undefined;
  /** The address of the client without its port. */
  readonly address?: string | undefined;
  /**
   * Adds a write to the transaction that creates the object. If the write is no longer possible by then, the whole
   * creation is prepared and admitted again.
   */
  readonly alsoWrite?: (write: Write) => void;
}

/** A write that carries an object. */
export type MutatingRequest = AdmissionRequest & { readonly object: KubeObject };

/** A refusal: 403 `<resource> "<name>" is forbidden: <message>`. */
export interface Refusal {
  readonly message: string;
}

/** The outcome of the mutating phase. */
export type Mutation = { readonly object: KubeObject } | Refusal;

/** One admission plugin. It may also throw a StatusError where Kubernetes answers something other than 403. */
export interface AdmissionPlugin {
  readonly name: string;
  /** The kinds whose writes the plugin gets, as the values that `core/kube/kinds` exports; absent for all kinds. */
  readonly kinds?: readonly Kind[];
  /** Changes or refuses an object; undefined leaves it unchanged. */
  mutate?(request: MutatingRequest): Promise<Mutation | undefined> | Mutation | undefined;
  validate?(request: AdmissionRequest): Promise<Refusal | undefined> | Refusal | undefined;
}

/** Runs all plugins in their order. */
export interface Admission {
  /** Returns the object with the changes of all plugins. DELETE has no mutating phase here. */
  mutate(request: MutatingRequest): Promise<Mutation>;
  /** Returns the first refusal, or undefined when every plugin admits the request. */
  validate(request: AdmissionRequest): Promise<Refusal | undefined>;
}

/** The dependencies that all verbs share. */
export interface RegistryDeps {
  readonly storage: RegistryStorage;
  readonly admission: Admission;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The object of a request, and its user. */
export interface Target {
  readonly resource: Resource;
  /** Empty for the main resource. */
  readonly subresource: string;
  /** Empty for cluster-scoped kinds and for all namespaces. */
  readonly namespace: string;
  /** The name of the object; empty for collections. */
  readonly name: string;
  readonly user: UserInfo;
  /** The address of the client without its port, as it reached this server. */
  readonly address?: string | undefined;
  /** The User-Agent header of the request; empty when absent. */
  readonly userAgent?: string;
  /** Receives warnings for the client. */
  readonly onWarning?: (text: string) => void;
  /** Awaited between the steps of a write, each of which may take long for a large object. */
  readonly pause?: () => Promise<void>;
}

/** Creates the admission request of a write. The caller adds the objects. */
export function toAdmissionRequest(
  target: Target,
  operation: AdmissionRequest["operation"],
  name: string = target.name,
): Omit<AdmissionRequest, "object" | "oldObject" | "alsoWrite"> {
  const { resource: { kind }, subresource, namespace, user, onWarning, address } = target;
  return { operation, kind, subresource, name, namespace, user, onWarning, address };
}

/** Runs the mutating phase of admission, and returns the changed object. Throws StatusError 403. */
export async function admitMutation(
  { admission }: Pick<RegistryDeps, "admission">,
  request: MutatingRequest,
): Promise<KubeObject> {
  const answer = await admission.mutate(request);
  if (!("message" in answer)) return answer.object;
  // Admission's name for an object without a name (`apiserver/pkg/admission/errors.go`).
  throw forbidden(request.kind, request.name || request.object.metadata.generateName || "Unknown", answer.message);
}

/** Runs the validating phase of admission. Throws StatusError 403. */
export async function assertAdmitted(
  { admission }: Pick<RegistryDeps, "admission">,
  request: AdmissionRequest,
): Promise<void> {
  const refusal = await admission.validate(request);
  if (refusal !== undefined) throw forbidden(request.kind, request.name, refusal.message);
}

/** Creates a version 4 UUID, as used in `metadata.uid` and audit ids (RFC 9562 section 5.4). */
export function createUid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  let uid = "";
  for (let index = 0; index < 16; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) uid += "-";
    uid += HEX[bytes[index]!];
  }
  return uid;
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** An alphabet without vowels and look-alike characters (apiserver `pkg/storage/names/generate.go`). */
const SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const MAX_GENERATED_BASE = 58;

/** Creates a name from `generateName`, truncated to 58 bytes, and five random characters. */
export function generateName(base: string, random: Random): string {
  let suffix = "";
  while (suffix.length < 5) {
    for (const byte of random.bytes(8)) {
      // 256 is not a multiple of 27, so bytes from 243 on would bias the choice.
      if (byte < 243 && suffix.length < 5) suffix += SUFFIX_ALPHABET[byte % SUFFIX_ALPHABET.length];
    }
  }
  return base.slice(0, MAX_GENERATED_BASE) + suffix;
}

export type ResourceKeys = Pick<StoredResource, "kind" | "storageName">;

/** Returns the key prefix of a resource, or of one namespace of it. */
export function toKeyPrefix(resource: ResourceKeys, namespace: string): string {
  const root = `/registry/${resource.storageName ?? resource.kind.plural}/`;
  return resource.kind.namespaced && namespace !== "" ? `${root}${namespace}/` : root;
}

export function toStoredKind({ kind, storedVersion = kind.version }: StoredResource): Kind {
  return { ...kind, version: storedVersion };
}

export function toStorageKey(resource: ResourceKeys, namespace: string, name: string): string {
  return `${toKeyPrefix(resource, namespace)}${name}`;
}

/**
 * Returns the storage key of a requested object. Throws StatusError 400 for names that cannot be in a key. Call it
 * after options and body have been checked (`registry/generic/registry/store.go`, NamespaceKeyFunc).
 */
export function parseRequestedKey(
  { resource, namespace, name }: Pick<Target, "namespace" | "name"> & { readonly resource: ResourceKeys },
): string {
  if (resource.kind.namespaced && namespace === "") throw badRequest("Namespace parameter required.");
  const faults = pathSegmentNameErrors(name);
  if (faults.length > 0) throw badRequest(`Name parameter invalid: ${goQuote(name)}: ${faults.join(";")}`);
  return toStorageKey(resource, namespace, name);
}

/**
 * Returns kube-apiserver's message for a stored object that does not meet the expectation of a request
 * (`apiserver/pkg/storage/errors.go`). A dry run checks before the prefix of etcd is added to the key
 * (`registry/generic/registry/dryrun.go`).
 */
export function invalidStoredObject(target: Target, why: string, isDryRun = false): string {
  const stored = toStorageKey(target.resource, target.namespace, target.name);
  const key = isDryRun ? stored.slice("/registry".length) : stored;
  return `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`;
}

/** The methods of a storage that the verbs call. */
export type RegistryStorage = Pick<
  Storage,
  "get" | "getKnown" | "list" | "transact" | "watch" | "catchUp" | "revision"
>;

/**
 * Creates a view of a storage for `events.k8s.io/v1`, whose objects are stored as core `v1` Events: it converts what it
 * reads and writes, like a codec in upstream's `apiserver/pkg/storage`.
 */
export function createConvertedStorage(
  storage: RegistryStorage,
  { toStored, fromStored }: Omit<Conversion, "kind">,
): RegistryStorage {
  function convert<S extends Stored | undefined>(stored: S): S {
    if (stored === undefined) return stored;
    const object = fromStored(stored.object);
    return { ...stored, object, bytes: jsonBytes(object) };
  }

  const convertEvent = ({ current, previous, ...event }: StorageEvent): StorageEvent => ({
    ...event,
    current: convert(current),
    previous: convert(previous),
  });

  return {
    get: async (key) => convert(await storage.get(key)),
    getKnown: (key) => convert(storage.getKnown(key)),
    async list(prefix, options) {
      const page = await storage.list(prefix, options);
      return { ...page, items: page.items.map(convert) };
    },
    async transact(writes) {
      const converted = writes.map((write) =>
        write.kind === "delete" ? write : { ...write, object: toStored(write.object) }
      );
      return (await storage.transact(converted)).map(convertEvent);
    },
    watch: (prefix, after, onEvents, onLost) =>
      storage.watch(prefix, after, (events) => onEvents(events.map(convertEvent)), onLost),
    catchUp: (withinMs) => storage.catchUp(withinMs),
    revision: () => storage.revision(),
  };
}
