/** Sample objects: for each served kind, some valid ones and a full one with every field set. */
import { parseAllDocuments } from "yaml";
import { VECTORS } from "../../../core/kube/kinds/testdata/vectors.ts";
import { formatApiVersion, formatQualifiedResource, type Kind } from "../../../core/kube/schema.ts";
import type { Random } from "../../../core/ports.ts";
import { oneIn, pick } from "../../support/seeded_random.ts";
import { createSamples } from "../../support/privilege/samples.ts";
import { SAMPLE_OBJECTS } from "../../support/interop/sample_objects.ts";
import { structuredCopy } from "./values.ts";

type Fields = Record<string, unknown>;

const CERTIFICATE = "${b64:-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n}";
const PLACES = createSamples({ request: () => "${csr:web}", stubRequest: "${der:web}", certificate: CERTIFICATE });
const DOCUMENTS = parseAllDocuments(SAMPLE_OBJECTS.replaceAll("sample-SUFFIX", "${scene}-ns"))
  .map((document) => document.toJS() as Fields);

/** Creates a valid object with this name, sometimes with parts of the full sample. */
export function createSample(kind: Kind, name: string, namespace: string | undefined, random: Random): Fields {
  const { metadata, ...content } = structuredCopy(pick(random, listSamples(kind)));
  const { name: _name, namespace: _namespace, ...details } = metadata as Fields;
  const object: Fields = {
    ...content,
    apiVersion: formatApiVersion(kind),
    kind: kind.kind,
    metadata: {
      ...(kind.group.startsWith("auth") ? {} : { name }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(oneIn(random, 3) ? details : {}),
      labels: { scene: "${scene}", ...(oneIn(random, 3) ? { a: pick(random, ["b", "c", "1"]) } : {}) },
    },
  };
  const full = createFullSample(kind);
  const parts = Object.keys(full).filter((key) => !["apiVersion", "kind", "metadata"].includes(key));
  if (oneIn(random, 8) && parts.length > 0) {
    const part = pick(random, parts);
    object[part] = full[part];
  }
  if (oneIn(random, 16)) {
    const [key, value] = pick(random, Object.entries(full["metadata"] as Fields).filter(([key]) => key !== "name"));
    (object["metadata"] as Fields)[key] = value;
  }
  return object;
}

function listSamples(kind: Kind): readonly Fields[] {
  const own = DOCUMENTS.filter((one) => one["apiVersion"] === formatApiVersion(kind) && one["kind"] === kind.kind);
  const places = PLACES[formatQualifiedResource(kind)] ?? [];
  return [...own, ...places.slice(0, 1).map((place) => moveToScene(place.object("n1") as object as Fields))];
}

/** Moves a sample of the privilege matrix into the namespace of the scene. */
function moveToScene(object: Fields): Fields {
  return JSON.parse(JSON.stringify(object).replaceAll('"namespace":"team"', '"namespace":"${scene}-ns"')) as Fields;
}

function createFullSample(kind: Kind): Fields {
  const name = kind.group === "events.k8s.io" ? "events_v1" : kind.plural;
  return JSON.parse(VECTORS[name]?.json ?? '{"metadata":{}}') as Fields;
}
