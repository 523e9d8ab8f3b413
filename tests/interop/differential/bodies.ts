/** Generates request bodies: objects, patches and options, in every form that a server decodes, and in invalid ones. */
import { stringify } from "yaml";
import { deleteOptionsSchema } from "../../../core/kube/kinds/mod.ts";
import type { Kind } from "../../../core/kube/schema.ts";
import type { Random } from "../../../core/ports.ts";
import { below, oneIn, pick } from "../../support/seeded_random.ts";
import type { Body } from "../comparison/corpus.ts";
import { encodeProtobuf } from "../comparison/send.ts";
import { fillValue } from "../comparison/variables.ts";
import { findSlots, mutate } from "./mutate.ts";
import { anyText, Members, needsText, structuredCopy, valueFor, writeJson, wrongValue } from "./values.ts";

type Fields = Record<string, unknown>;

/** A body and its Content-Type, undefined where the form determines it. */
export interface SentBody {
  readonly body: Body | undefined;
  readonly contentType: string | undefined;
}

/** Chooses how many changes to make to an object; almost a third of all objects stay unchanged. */
function anyChanges(random: Random): number {
  return pick(random, [0, 0, 1, 1, 1, 2, 3]);
}

const BROKEN = [
  "",
  "null",
  "[]",
  '""',
  "1",
  "{",
  "{}{}",
  '{"a":}',
  "\ufeff{}",
  "{} x",
  "a: b: c",
  "- a",
  "---",
  "\t",
  "%",
];
const OTHER_TYPES = [
  ...["text/plain", "application/cbor", "application/json; charset=utf-8", "application/JSON", "", "application/yaml"],
  ...["application/json;a=b", "application/xml", "application/vnd.kubernetes.protobuf", "application/json,a/b", "json"],
];

/** Generates the body of a create or an update: a changed object in one of the three forms. */
export function objectBody(object: Fields, kind: Kind, random: Random): SentBody {
  if (oneIn(random, 40)) return brokenBody(random);
  const changed = mutate(object, kind.schema, anyChanges(random), random);
  if (oneIn(random, 25)) changeIdentity(changed, random);
  return writeBody(oneIn(random, 60) ? repeatMember(changed, random) : changed, random);
}

export function deletionBody(random: Random): SentBody {
  if (!oneIn(random, 3)) return { body: undefined, contentType: undefined };
  if (oneIn(random, 20)) return brokenBody(random);
  const options = pick<Fields>(random, [
    {},
    { propagationPolicy: pick(random, ["Background", "Foreground", "Orphan"]) },
    { preconditions: { uid: pick(random, ["${uid}", "a"]) } },
    { preconditions: { resourceVersion: pick(random, ["${rv}", "1"]) } },
    { gracePeriodSeconds: pick(random, [0, 1, 30]) },
    { dryRun: ["All"] },
  ]);
  const identity = oneIn(random, 8)
    ? {}
    : { kind: "DeleteOptions", apiVersion: pick(random, ["v1", "v1", "meta.k8s.io/v1"]) };
  return writeBody(mutate({ ...identity, ...options }, deleteOptionsSchema, anyChanges(random), random), random);
}

function brokenBody(random: Random): SentBody {
  const type = pick(random, ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]);
  return { body: { form: "text", value: pick(random, BROKEN) }, contentType: type };
}

function changeIdentity(object: Fields, random: Random): void {
  const key = pick(random, ["apiVersion", "kind"]);
  if (oneIn(random, 3)) delete object[key];
  else {object[key] = pick(random, [
      "v1",
      "v2",
      "rbac.authorization.k8s.io/v1",
      "a/b/c",
      "ConfigMap",
      "List",
      "Status",
      "",
    ]);}
}

/** Returns the members of an object, with one repeated. */
function repeatMember(object: Fields, random: Random): Members {
  const members = Object.entries(object);
  return new Members([...members, pick(random, members)]);
}

function writeBody(value: object, random: Random): SentBody {
  const contentType = oneIn(random, 40) ? pick(random, OTHER_TYPES) : undefined;
  if (needsText(value)) {
    // JSON is also YAML.
    const type = oneIn(random, 4) ? "application/yaml" : "application/json";
    return { body: { form: "text", value: writeJson(value) }, contentType: contentType ?? type };
  }
  switch (below(random, 5)) {
    case 0:
      return { body: { form: "yaml", value: writeYaml(value) }, contentType };
    case 1:
      return { body: { form: hasProtobufForm(value) ? "protobuf" : "json", value }, contentType };
    default:
      return { body: { form: "json", value }, contentType };
  }
}

/** Characters that YAML 1.1 treats as line breaks; tlsboot refuses most uses (docs/decisions/0056-js-yaml.md). */
const OTHER_BREAKS = /[\u0085\u2028\u2029]/g;

function writeYaml(value: unknown): string {
  // Quotes keep a resource version a string once it is filled in.
  const text = stringify(value, { schema: "yaml-1.1", version: "1.1", lineWidth: 0 }).replaceAll("${rv}", '"${rv}"');
  if (text.search(OTHER_BREAKS) < 0) return text;
  const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replace(OTHER_BREAKS, escape);
}

function hasProtobufForm(value: unknown): boolean {
  try {
    const variables = { scene: "d00000", rv: "1", uid: "a", "csr:web": "AA==", "csr:node": "AA==", more: "a" };
    encodeProtobuf(fillValue(value, variables));
    return true;
  } catch {
    return false;
  }
}

/** The Content-Type of each type of patch. */
export const PATCH_TYPES = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

/** Generates a patch of the given type for such an object. */
export function patchBody(type: keyof typeof PATCH_TYPES, object: Fields, kind: Kind, random: Random): SentBody {
  const contentType = oneIn(random, 50) ? pick(random, OTHER_TYPES) : PATCH_TYPES[type];
  if (oneIn(random, 40)) {
    const broken = brokenBody(random);
    // Go ignores what follows the first value in braces; tlsboot refuses it.
    const isIgnored = type === "apply" && ["{}{}", "{} x"].includes(String(broken.body?.value));
    return { ...(isIgnored ? { body: { form: "text", value: "{" } } : broken), contentType };
  }
  const value = type === "json"
    ? jsonPatch(object, kind, random)
    : type === "apply"
    ? appliedObject(object, kind, random)
    : mergePatch(object, kind, type === "strategic", random);
  if (needsText(value)) return { body: { form: "text", value: writeJson(value) }, contentType };
  if (type === "apply" && oneIn(random, 2)) return { body: { form: "text", value: writeYaml(value) }, contentType };
  return { body: { form: "json", value }, contentType };
}

function appliedObject(object: Fields, kind: Kind, random: Random): unknown {
  const part = oneIn(random, 2) ? structuredCopy(object) : {
    apiVersion: object["apiVersion"],
    kind: object["kind"],
    ...(oneIn(random, 8) ? {} : { metadata: structuredCopy(object["metadata"]) }),
    ...pickMembers(object, random),
  };
  const changed = mutate(part, kind.schema, anyChanges(random), random);
  if (oneIn(random, 30)) addDirective(changed, random);
  if (oneIn(random, 25)) changeIdentity(changed, random);
  return oneIn(random, 40) ? repeatMember(changed, random) : changed;
}

/** Generates a merge patch with some changed members of an object. */
function mergePatch(object: Fields, kind: Kind, isStrategic: boolean, random: Random): unknown {
  const { labels, annotations, finalizers } = object["metadata"] as Fields;
  const metadata = pick<Fields>(random, [
    {},
    { metadata: { labels: { a: pick(random, ["x", null, "y"]) } } },
    { metadata: { annotations: annotations ?? { a: anyText(random) } } },
    { metadata: { finalizers: finalizers ?? ["example.com/a"], labels: labels ?? null } },
    { metadata: { resourceVersion: pick(random, ["${rv}", "1", ""]) } },
  ]);
  const part = mutate({ ...metadata, ...pickMembers(object, random) }, kind.schema, anyChanges(random), random);
  if (isStrategic && oneIn(random, 6)) addDirective(part, random);
  return oneIn(random, 60) && Object.keys(part).length > 0 ? repeatMember(part, random) : part;
}

function pickMembers(object: Fields, random: Random): Fields {
  const names = Object.keys(object).filter((name) => !["apiVersion", "kind", "metadata"].includes(name));
  return structuredCopy(Object.fromEntries(names.filter(() => oneIn(random, 2)).map((name) => [name, object[name]])));
}

/** Adds a strategic merge patch directive to one of the objects or lists. */
function addDirective(object: Fields, random: Random): void {
  const containers: Fields[] = [object];
  for (const { container, key } of findSlots(object, undefined)) {
    const value = container[key];
    if (typeof value === "object" && value !== null && !needsText(value)) containers.push(value as Fields);
  }
  const container = pick(random, containers);
  const list = pick(random, [...Object.keys(container), "finalizers", "conditions"]);
  const directive = pick<Fields>(random, [
    { $patch: pick(random, ["delete", "replace", "merge", "x", 1]) },
    { [`$setElementOrder/${list}`]: pick<unknown>(random, [["a"], [], [{ name: "a" }], "a", null]) },
    { [`$deleteFromPrimitiveList/${list}`]: pick<unknown>(random, [["a"], [], "a"]) },
    { $retainKeys: pick<unknown>(random, [["a"], Object.keys(container), "a", []]) },
  ]);
  if (Array.isArray(container)) container.push(directive);
  else Object.assign(container, directive);
}

const OPERATIONS = ["add", "remove", "replace", "test", "copy", "move"];
const ODD_POINTERS = [
  "",
  "/",
  "a",
  "/a",
  "/metadata",
  "/metadata/labels/a~1b",
  "/~2",
  "/metadata/finalizers/-",
  "/data/-",
];

function jsonPatch(object: Fields, kind: Kind, random: Random): unknown {
  if (oneIn(random, 30)) return pick<unknown>(random, [{}, [], [{}], [null], "a", [[]], [1]]);
  const slots = findSlots(object, kind.schema);
  const pointer = () => {
    if (oneIn(random, 8)) return pick(random, ODD_POINTERS);
    const { path } = pick(random, slots);
    const escaped = path.map((key) => key.replaceAll("~", "~0").replaceAll("/", "~1"));
    return `/${escaped.join("/")}${oneIn(random, 12) ? pick(random, ["/0", "/-", "/a", "/-1", "/01", "/99"]) : ""}`;
  };
  return Array.from({ length: 1 + below(random, 3) }, () => {
    const slot = pick(random, slots);
    const op = oneIn(random, 30) ? pick<unknown>(random, ["x", "", null, 1, "Add"]) : pick(random, OPERATIONS);
    const value = slot.field === undefined || oneIn(random, 4) ? wrongValue(random) : valueFor(slot.field, random);
    const path = oneIn(random, 2) ? `/${slot.path.join("/")}` : pointer();
    const operation: Fields = { op, path };
    if (op === "copy" || op === "move") operation["from"] = pointer();
    else if (op !== "remove") operation["value"] = value;
    if (oneIn(random, 20)) delete operation[pick(random, Object.keys(operation))];
    if (oneIn(random, 30)) operation["unknown"] = 1;
    return operation;
  });
}
