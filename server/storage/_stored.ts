/** Makes the stored form of an object: its revision in `metadata.resourceVersion`, its JSON encoded once. */
import { jsonBytes } from "../../core/kube/codec/encode.ts";
import type { KubeObject, ObjectMeta } from "../../core/kube/meta.ts";
import type { Stored } from "./storage.ts";

/** The state that a write of `revision` makes of an object. */
export function createStored(key: string, object: KubeObject, revision: number): Stored {
  const { kind: _kind, apiVersion: _apiVersion, ...fields } = object;
  const numbered = { ...fields, metadata: withRevision(object.metadata, String(revision)) };
  return { key, revision, object: numbered, bytes: jsonBytes(numbered) };
}

/** Reads a stored form back; throws SyntaxError when the bytes are not JSON. */
export function parseStored(key: string, revision: number, bytes: Uint8Array): Stored {
  return { key, revision, object: JSON.parse(new TextDecoder().decode(bytes)) as KubeObject, bytes };
}

/** Sets `resourceVersion` at its place in Go's field order (`meta/v1` ObjectMeta: after `uid`). */
function withRevision(metadata: ObjectMeta, resourceVersion: string): ObjectMeta {
  if ("resourceVersion" in metadata) return { ...metadata, resourceVersion };
  const { name, generateName, namespace, selfLink, uid, ...rest } = metadata;
  return {
    ...(name === undefined ? {} : { name }),
    ...(generateName === undefined ? {} : { generateName }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(selfLink === undefined ? {} : { selfLink }),
    ...(uid === undefined ? {} : { uid }),
    resourceVersion,
    ...rest,
  };
}
