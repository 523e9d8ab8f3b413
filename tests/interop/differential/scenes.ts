/** Scenes: short sequences of random exchanges about a few objects, reproducible by seed. */
import type { Kind } from "../../../core/kube/schema.ts";
import type { Random } from "../../../core/ports.ts";
import { below, createSeededRandom, oneIn, pick } from "../../support/seeded_random.ts";
import { type Exchange, type Identity, PLAIN, type RequestFixture } from "../comparison/corpus.ts";
import { SERVED_KINDS, type ServedKind } from "../comparison/served_kinds.ts";
import { deletionBody, objectBody, PATCH_TYPES, patchBody, type SentBody } from "./bodies.ts";
import { anyAccept, anyQuery } from "./parameters.ts";
import { createSample } from "./samples.ts";

/** A scene. In its texts `${scene}` stands for the prefix of all names in one replay. */
export interface Scene {
  readonly seed: number;
  readonly index: number;
  /** The exchanges that create the objects of the scene; they are not counted. */
  readonly setup: readonly Exchange[];
  readonly exchanges: readonly Exchange[];
}

/** The certificate requests that scenes send. */
export const FIXTURES: Readonly<Record<string, RequestFixture>> = {
  web: { commonName: "web", organizations: ["team"], dnsNames: ["web.example"] },
  node: { commonName: "system:node:n1", organizations: ["system:nodes"] },
};

/** The number of scenes that are played in parallel. The lane of a scene depends on its number. */
export const LANES = 4;
/** The largest number of exchanges in a scene. */
const MAX_EXCHANGES = 14;
/** The nodes that have certificates. Each belongs to one lane, so no two scenes write to it at the same time. */
const NODES = ["n1", "n2"];

/** Generates the scene with this number. */
export function createScene(seed: number, index: number): Scene {
  const random = createSeededRandom((Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) | 0);
  const node = oneIn(random, 10) ? NODES[index % LANES] : undefined;
  const kinds = [pick(random, SERVED_KINDS), pick(random, SERVED_KINDS)];
  const length = 4 + below(random, MAX_EXCHANGES - 3);
  const exchanges: Exchange[] = [];
  while (exchanges.length < length) {
    const place: Place = node === undefined
      ? { served: pick(random, kinds), names: ["${scene}-a", "${scene}-a", "${scene}-b"], namespace: "${scene}-ns" }
      : pickNodePlace(node, random);
    const identity = node === undefined || oneIn(random, 4) ? anyIdentity(random) : node === "n1" ? "node" : "node2";
    exchanges.push({ ...step(place, random), id: `${exchanges.length + 1}`, as: identity });
  }
  return { seed, index, setup: createSetup(node), exchanges };
}

interface Place {
  readonly served: ServedKind;
  readonly names: readonly string[];
  readonly namespace: string;
}

function anyIdentity(random: Random): Identity {
  return oneIn(random, 8) ? pick(random, ["alice", "anonymous", "token", "badtoken", "bootstrap", "node"]) : "admin";
}

/** Chooses what a node works on: its own Node, Lease or CSINode, or a request for its certificate. */
function pickNodePlace(node: string, random: Random): Place {
  const own = SERVED_KINDS.filter(({ kind }) =>
    ["nodes", "leases", "csinodes", "certificatesigningrequests"].includes(kind.plural)
  );
  const served = pick(random, oneIn(random, 6) ? SERVED_KINDS : own);
  const isNamed = served.kind.plural !== "certificatesigningrequests";
  return {
    served,
    names: isNamed ? [node, node, node, "${scene}-a"] : ["${scene}-a"],
    namespace: oneIn(random, 8) ? "${scene}-ns" : "kube-node-lease",
  };
}

function createSetup(node: string | undefined): readonly Exchange[] {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "${scene}-ns" } };
  const setup: Exchange[] = [
    { ...PLAIN, id: "a namespace", send: "POST /api/v1/namespaces", body: { form: "json", value: namespace } },
  ];
  if (node === undefined) return setup;
  const paths = [
    "/api/v1/nodes",
    "/apis/storage.k8s.io/v1/csinodes",
    "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
  ];
  return [
    ...setup,
    ...paths.flatMap((path): readonly Exchange[] => [
      { ...PLAIN, id: `no finalizers on ${path}`, ...withoutFinalizers(`${path}/${node}`) },
      { ...PLAIN, id: `nothing at ${path}`, send: `DELETE ${path}/${node}` },
    ]),
  ];
}

function withoutFinalizers(path: string): Pick<Exchange, "send" | "headers" | "body"> {
  return {
    send: `PATCH ${path}`,
    headers: { "Content-Type": PATCH_TYPES.merge },
    body: { form: "json", value: { metadata: { finalizers: null } } },
  };
}

const VERBS: readonly (readonly [string, number])[] = [
  ...[["create", 22], ["get", 10], ["list", 14], ["watch", 1], ["update", 14], ["json", 8], ["merge", 8]] as const,
  ...[["strategic", 8], ["apply", 12], ["delete", 6], ["deletecollection", 3], ["odd", 4]] as const,
];
const METHODS: Readonly<Record<string, string>> = {
  create: "POST",
  update: "PUT",
  delete: "DELETE",
  deletecollection: "DELETE",
  json: "PATCH",
  merge: "PATCH",
  strategic: "PATCH",
  apply: "PATCH",
};
const ODD_NAMES = [
  ".",
  "..",
  "a%b",
  "A",
  "a%20b",
  "a%2Fb",
  "%00",
  "a".repeat(254),
  "%2e",
  "%C3%BC",
  "-a",
  "a.",
  "a:b",
  "a%25",
];

function step(place: Place, random: Random): Exchange {
  const verb = pickWeighted(VERBS, random);
  return verb === "odd" ? oddStep(place, random) : usualStep(verb, place, random);
}

function usualStep(verb: string, { served, names, namespace }: Place, random: Random): Exchange {
  const { kind } = served;
  const isCollection = ["create", "list", "watch", "deletecollection"].includes(verb);
  const name = oneIn(random, 30) ? pick(random, ODD_NAMES) : pick(random, names);
  const scope = !kind.namespaced
    ? undefined
    : oneIn(random, 25)
    ? pick(random, ["default", "${scene}-none", "a%20b"])
    : namespace;
  const isEverywhere = kind.namespaced && (verb === "list" || verb === "watch") && oneIn(random, 6);
  const isShared = scope !== "${scene}-ns" || isEverywhere;
  const subresource = !isCollection && served.subresources.length > 0 && oneIn(random, 3)
    ? `/${pick(random, served.subresources).name}`
    : "";
  const path = `${toCollectionPath(kind, isEverywhere ? undefined : scope)}${
    isCollection ? "" : `/${name}`
  }${subresource}`;
  const isPatch = verb in PATCH_TYPES;
  const query = anyQuery(isPatch && verb !== "apply" ? "patch" : verb, random, {
    isShared,
    selectableFields: served.selectableFields,
  });
  const object = createSample(kind, decodeName(name), scope, random);
  addMetadata(object, verb, random);
  const { body, contentType } = bodyFor(verb, object, kind, random);
  return {
    ...PLAIN,
    send: `${METHODS[verb] ?? "GET"} ${path}${query}`,
    headers: headersFor(contentType, random),
    body,
    keep: isCollection && verb !== "create"
      ? { more: "metadata.continue?" }
      : { rv: "metadata.resourceVersion?", uid: "metadata.uid?" },
    stream: verb === "watch" ? { events: "end", after: 0, while: [] } : undefined,
    project: chooseProjection(kind, METHODS[verb] ?? "GET"),
  };
}

/** Chooses a projection that ignores the order of lists that real servers do not sort, and the text of YAML errors. */
function chooseProjection(kind: Kind, method: string): string {
  return kind.plural === "selfsubjectrulesreviews" && method === "POST" ? "rules" : "random";
}

/** Adds metadata that samples lack: resource versions, uids and names to generate. */
function addMetadata(object: Record<string, unknown>, verb: string, random: Random): void {
  const metadata = object["metadata"] as Record<string, unknown>;
  if (verb === "create" && oneIn(random, 16)) {
    metadata["generateName"] = pick(random, [
      "${scene}-g-",
      "${scene}-G-",
      `\${scene}-${"g".repeat(70)}-`,
      "${scene}-g.",
    ]);
    if (!oneIn(random, 6)) delete metadata["name"];
  }
  if (verb === "update" && oneIn(random, 2)) {
    metadata["resourceVersion"] = pick(random, ["${rv}", "${rv}", "${rv}", "1", "x"]);
  }
  if (verb === "update" && oneIn(random, 8)) metadata["uid"] = pick(random, ["${uid}", "${uid}", "a"]);
  if (verb === "apply" && oneIn(random, 12)) metadata["resourceVersion"] = pick(random, ["${rv}", "1"]);
  if (verb === "apply" && oneIn(random, 16)) metadata["managedFields"] = pick<unknown>(random, [null, [], [{}]]);
}

function bodyFor(verb: string, object: Record<string, unknown>, kind: Kind, random: Random): SentBody {
  if (verb in PATCH_TYPES) return patchBody(verb as keyof typeof PATCH_TYPES, object, kind, random);
  if (verb === "create" || verb === "update") return objectBody(object, kind, random);
  if (verb === "delete" || verb === "deletecollection") return deletionBody(random);
  return { body: undefined, contentType: undefined };
}

function headersFor(contentType: string | undefined, random: Random): Exchange["headers"] {
  const accept = anyAccept(random);
  return {
    ...(accept === undefined ? {} : { Accept: accept }),
    ...(contentType === undefined ? {} : { "Content-Type": contentType }),
    ...(oneIn(random, 80) ? { "Impersonate-User": pick(random, ["alice", "", "system:node:n1"]) } : {}),
  };
}

/** Generates a request that no Kubernetes client sends. */
function oddStep({ served, names, namespace }: Place, random: Random): Exchange {
  const { kind, subresources } = served;
  const collection = toCollectionPath(kind, kind.namespaced ? namespace : undefined);
  const item = `${collection}/${pick(random, names)}`;
  const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const path = pick(random, [
    item,
    item,
    collection,
    collection,
    `${collection}/`,
    `${item}/`,
    `${item}/unknown`,
    ...subresources.map(({ name }) => `${item}/${name}`),
    `${collection}//a`,
    `/${item}`,
    `${collection}/./a`,
    `${collection}/../a`,
    `${root}/unknowns`,
    `${root}/unknowns/a`,
    `${root}/namespaces/\${scene}-ns/unknowns`,
    `${root}/watch/${kind.plural}`,
    "/apis/unknown.example/v1/a",
    `/apis/${kind.group}/v9/${kind.plural}`,
    "/unknown",
    `/api/v1/namespaces/\${scene}-ns/${kind.plural}/a/b/c`,
    "/healthz/unknown",
  ]);
  const isWatch = path.includes("/watch/");
  const method = isWatch
    ? "GET"
    : pick(random, ["GET", "POST", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND"]);
  const isList = (method === "GET" || method === "HEAD") && path.startsWith(collection) &&
    !path.startsWith(`${collection}/`);
  const query = isWatch || isList ? "?labelSelector=scene%3D${scene}&timeoutSeconds=1" : "";
  const hasBody = method !== "GET" && method !== "HEAD" && oneIn(random, 2);
  const { body, contentType } = hasBody
    ? objectBody(createSample(kind, "${scene}-a", kind.namespaced ? namespace : undefined, random), kind, random)
    : { body: undefined, contentType: undefined };
  return {
    ...PLAIN,
    send: `${method} ${path}${query}`,
    headers: headersFor(contentType, random),
    body,
    stream: isWatch ? { events: "end", after: 0, while: [] } : undefined,
    project: chooseProjection(kind, method),
  };
}

function toCollectionPath(kind: Kind, namespace: string | undefined): string {
  const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  return `${root}${namespace === undefined ? "" : `/namespaces/${namespace}`}/${kind.plural}`;
}

function decodeName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function pickWeighted(choices: readonly (readonly [string, number])[], random: Random): string {
  let at = below(random, choices.reduce((sum, [, weight]) => sum + weight, 0));
  for (const [choice, weight] of choices) {
    at -= weight;
    if (at < 0) return choice;
  }
  throw new Error("the weights do not add up");
}
