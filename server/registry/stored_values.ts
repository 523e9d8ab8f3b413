/**
 * Encodes objects as kube-apiserver stores them in etcd: protobuf in its envelope, in the stored version of each kind.
 * Values written as JSON, by older releases or by hand, are decoded too.
 */
import { decodeObject } from "../../core/kube/wire/object_json.ts";
import { ElementBudget } from "../../core/kube/wire/element_budget.ts";
import { parseJson } from "../../core/kube/wire/json_parser.ts";
import { decodeEnvelope, encodeEnvelope } from "../../core/kube/wire/protobuf_envelope.ts";
import { decodeMessage, encodeMessage } from "../../core/kube/wire/protobuf.ts";
import { decodeUtf8 } from "../../core/lib/go_text.ts";
import { isStoredForm } from "../../core/kube/wire/stored_form.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { formatApiVersion } from "../../core/kube/schema.ts";
import { isEncrypted, type StoredValues } from "../storage/etcd/contents.ts";
import { toKeyPrefix, toStoredKind } from "./registry.ts";
import type { StoredResource } from "./resource.ts";

/** The placeholder for an object that exists but cannot be read. */
const NAMELESS: KubeObject = { metadata: {} };
const ROOT = "/registry/";
const BRACE = 0x7b;

/** Where the objects of a resource are stored, and the versions that they may have. */
interface Place {
  readonly resource: StoredResource;
  readonly prefix: string;
  readonly storedVersion: string;
  readonly servedVersion: string;
}

/**
 * Creates the encoding of resources. The stored version of a kind is that of the resource without a conversion. For
 * objects of `absent` resources, only the fields in their schemas are decoded, and an unreadable object becomes a
 * placeholder.
 */
export function createStoredValues(
  resources: readonly StoredResource[],
  absent: readonly StoredResource[] = [],
): StoredValues {
  const toPlace = (resource: StoredResource): Place => ({
    resource,
    prefix: toKeyPrefix(resource, ""),
    storedVersion: formatApiVersion(toStoredKind(resource)),
    servedVersion: formatApiVersion(resource.kind),
  });
  const places = resources.filter(({ conversion }) => conversion === undefined).map(toPlace);
  const others = absent.map(toPlace);
  const findPlace = (key: string) => places.find(({ prefix }) => key.startsWith(prefix));
  return {
    root: ROOT,
    prefixes: [...places, ...others].map(({ prefix }) => prefix),
    encode(key, object) {
      const place = findPlace(key);
      if (place === undefined) throw new AppError("internal", `cannot write "${key}": no resource is stored there`);
      const { resourceVersion: _resourceVersion, ...metadata } = object.metadata;
      const { kind, schema } = place.resource.kind;
      return encodeEnvelope(place.storedVersion, kind, encodeMessage(schema, { ...object, metadata }));
    },
    decode(key, value) {
      const place = findPlace(key);
      if (place === undefined) {
        const other = others.find(({ prefix }) => key.startsWith(prefix));
        return other === undefined ? undefined : decodeIfReadable(other, value);
      }
      try {
        return decodeValue(place, value);
      } catch (error) {
        throw new AppError("storage_corrupt", `cannot read "${key}" in etcd: ${getErrorMessage(error)}`, {
          cause: error,
          hint: "delete the key with etcdctl, or restore it from a backup",
        });
      }
    },
    isDecoded(key, object) {
      const place = findPlace(key);
      return place !== undefined && isStoredForm(place.resource.kind.schema, object);
    },
  };
}

function decodeIfReadable(place: Place, value: Uint8Array): KubeObject {
  try {
    return decodeValue(place, value);
  } catch {
    return NAMELESS;
  }
}

function decodeValue({ resource: { kind }, storedVersion, servedVersion }: Place, value: Uint8Array): KubeObject {
  if (value[0] === BRACE) {
    return decodeObject(kind.schema, parseJson(decodeUtf8(value), ElementBudget.unlimited()).value).object;
  }
  if (isEncrypted(value)) {
    throw new Error("the value is encrypted by kube-apiserver, whose keys are not known here");
  }
  const envelope = decodeEnvelope(value);
  const { apiVersion } = envelope;
  // A later Kubernetes stores the served version.
  if (envelope.kind !== kind.kind || (apiVersion !== storedVersion && apiVersion !== servedVersion)) {
    throw new Error(`the value is a ${apiVersion} ${envelope.kind}, not a ${storedVersion} ${kind.kind}`);
  }
  return decodeMessage(kind.schema, envelope.raw, ElementBudget.unlimited());
}
