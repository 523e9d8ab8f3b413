/** Patches of every type on the vector of a kind. The first byte selects the kind, and the others are the patch. */
import { jsonText } from "../../../core/kube/wire/object_json.ts";
import { ALL_KINDS } from "../../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import type { PatchType } from "../../../core/kube/patch/patch_result.ts";
import { formatApiVersion, type Kind } from "../../../core/kube/schema.ts";
import { applyBody, applyPatch, readConfig, readPatch } from "../../../server/http/patch_handler.ts";
import type { FieldValidation } from "../../../server/http/body.ts";
import { type Exchange, Warnings } from "../../../server/http/exchange.ts";
import { PLAIN_RESOURCES } from "../../../server/registry/resources.ts";
import { withMeta } from "../../../server/registry/write.ts";
import { createFakeClock } from "../../support/fake_clock.ts";
import { ADMIN } from "../../support/test_app.ts";
import { refusalOutcome } from "../oracle.ts";
import { restructureJson } from "../structure/json.ts";
import { type Bytes, encodeText, type Target } from "../target.ts";
import { behindKind, forKind, getVector, JSON_WORDS, kindAndBody, vectorObject } from "../inputs/seeds.ts";

/** The stored resources without dependencies, by kind. */
const SERVED = new Map(PLAIN_RESOURCES.map((resource) => [resource.kind, resource]));

const JSON_PATCHES: readonly unknown[] = [
  [{ op: "add", path: "/metadata/labels/a", value: "b" }, { op: "test", path: "/metadata/name", value: "nameValue" }],
  [{ op: "copy", from: "/metadata", path: "/metadata/annotations" }, {
    op: "move",
    from: "/metadata/labels",
    path: "/x",
  }],
  [{ op: "remove", path: "/metadata/finalizers/0" }, { op: "replace", path: "", value: {} }],
  [{ op: "add", path: "/metadata/finalizers/-", value: "a/b" }, { op: "copy", from: "", path: "/metadata/labels/x" }],
];
const DIRECTIVES: readonly unknown[] = [
  { metadata: { $retainKeys: ["name"], labels: { $patch: "replace", a: "b" }, annotations: null } },
  {
    metadata: {
      "$deleteFromPrimitiveList/finalizers": ["finalizersValue"],
      "$setElementOrder/finalizers": ["a", "b"],
      finalizers: ["a"],
    },
  },
  {
    metadata: {
      ownerReferences: [{ uid: "uidValue", $patch: "delete" }, { uid: "b" }],
      "$setElementOrder/ownerReferences": [{ uid: "b" }],
    },
  },
  {
    status: {
      conditions: [{ type: "typeValue", status: "True" }, { $patch: "merge" }],
      addresses: [{ type: "a", address: "b" }],
    },
  },
  { subjects: [{ kind: "User", name: "x" }], rules: [{ verbs: ["*"] }], data: { a: null, b: "c" }, $patch: "merge" },
];
const PATCH_WORDS = [
  ...JSON_WORDS,
  '{"op":"add","path":"/metadata/labels/aN","value":{}},',
  '{"op":"copy","from":"","path":"/x"},',
  '{"op":"copy","from":"/x","path":"/x/N"},',
  '{"op":"add","path":"/metadata/finalizers/0","value":""},',
  "/a",
  "~0~1",
  '"$patch":"delete"',
  '"$patch":"replace",',
  '"$retainKeys":["aN"],',
  '"$setElementOrder/finalizers":["aN"],',
  '"$deleteFromPrimitiveList/finalizers":["aN"],',
  '{"type":"N"},',
  '{"uid":"N"},',
];
const VALIDATIONS: readonly FieldValidation[] = ["Warn", "Strict", "Ignore"];
const MAX_BYTES = 3 * 2 ** 20;

export const jsonPatch: Target = patchTarget("json", [...JSON_PATCHES, []]);
export const mergePatch: Target = patchTarget("merge", [...DIRECTIVES, ...ALL_KINDS.map(vectorValue)]);
export const strategicPatch: Target = patchTarget("strategic", [
  ...DIRECTIVES,
  ...ALL_KINDS.map(vectorValue),
]);

/** `apply`: configurations for an object with fields of other owners, and for no object. */
export const apply: Target = {
  seeds: ALL_KINDS.flatMap((kind) =>
    SERVED.has(kind) ? [forKind(kind, applicable(kind)), forKind(kind, getVector(kind).yaml)] : []
  ),
  words: [...PATCH_WORDS, '"f:N":{},', '"k:{\\"type\\":\\"N\\"}":{},', "- a: b\n", "&a ", "*a"],
  maxBytes: MAX_BYTES,
  restructure: behindKind(restructureJson),
  run(input) {
    const { kind, body } = kindAndBody(input);
    const resource = SERVED.get(kind);
    if (resource === undefined) return "not stored";
    const target = { resource, subresource: "", namespace: "", name: "nameValue", user: ADMIN };
    const outcomes = [stored(kind), undefined].map((live) => {
      try {
        const config = readConfig(body);
        const options = {
          dryRun: false,
          fieldManager: "m",
          fieldValidation: chooseValidation(input),
          force: body.length % 2 === 0,
        };
        const object = applyBody({ clock: createFakeClock() }, target, exchange(), live, config, options);
        return `ok ${jsonText(object).length > 0}`;
      } catch (error) {
        // kube-apiserver answers 500 to a configuration that does not fit its kind.
        return refusalOutcome(error, [500]);
      }
    });
    return outcomes.join(" ");
  },
};

function patchTarget(type: Exclude<PatchType, "apply">, patches: readonly unknown[]): Target {
  return {
    seeds: patches.map((patch, index) => forKind(ALL_KINDS[index % ALL_KINDS.length]!, JSON.stringify(patch))),
    words: PATCH_WORDS,
    maxBytes: MAX_BYTES,
    restructure: behindKind(restructureJson),
    run(input) {
      const { kind, body } = kindAndBody(input);
      try {
        const object = applyPatch(exchange(), kind, type, stored(kind), readPatch(type, body), chooseValidation(input));
        return `ok ${jsonText(object).length > 0}`;
      } catch (error) {
        // kube-apiserver answers 500 to directives that it cannot follow.
        return refusalOutcome(error, [500]);
      }
    },
  };
}

const objects = new Map<Kind, KubeObject>();

/** Returns the vector of a kind, with an owner for its fields. */
function stored(kind: Kind): KubeObject {
  const known = objects.get(kind);
  if (known !== undefined) return known;
  const fieldsV1 = { "f:metadata": { "f:labels": { "f:labelsKey": {} } } };
  const entry = {
    manager: "other",
    operation: "Apply",
    apiVersion: formatApiVersion(kind),
    time: null,
    fieldsType: "FieldsV1",
    fieldsV1,
  };
  const object = withMeta(vectorObject(kind), { managedFields: [entry as never] });
  objects.set(kind, object);
  return object;
}

function vectorValue(kind: Kind): unknown {
  return JSON.parse(getVector(kind).json);
}

/** Removes the managed fields, which a client may not apply. */
function applicable(kind: Kind): Bytes {
  const value = vectorValue(kind) as { metadata: Record<string, unknown> };
  delete value.metadata["managedFields"];
  return encodeText(JSON.stringify(value));
}

function chooseValidation(input: Bytes): FieldValidation {
  return VALIDATIONS[input.length % VALIDATIONS.length]!;
}

function exchange(): Exchange {
  // Patches use only the warnings of an exchange.
  return { warnings: new Warnings() } as unknown as Exchange;
}
