/** Reduces OpenAPI documents to the kinds that tlsboot serves, without descriptions, which are in our own words. */
import { isRecord } from "../../../core/lib/record.ts";
import { Buffer } from "node:buffer";
import { readGnostic } from "./gnostic_read.ts";
import { READ_ONLY_RESOURCES, SERVED_GROUPS, SERVED_RESOURCES, SERVED_VERSIONS } from "./served_kinds.ts";

type Json = Readonly<Record<string, unknown>>;

/** Reduces the list of documents, a v3 document or the v2 document, in JSON or protobuf. */
export function projectOpenapi(body: unknown): unknown {
  const document = typeof body === "string" ? readText(body) : body;
  if (!isRecord(document)) return document;
  if ("openapi" in document) return projectV3(withoutDescriptions(document) as Json);
  if ("swagger" in document) return projectV2(withoutDescriptions(document) as Json);
  if (isRecord(document["paths"])) return { paths: filterKeys(document["paths"], isServedDocument) };
  return document;
}

/** Decodes a body of text: the list of documents in JSON, or protobuf in base64. */
function readText(text: string): unknown {
  if (text.startsWith("{")) return JSON.parse(text);
  return /^[A-Za-z0-9+/]+=*$/.test(text) ? readGnostic(Buffer.from(text, "base64")) : text;
}

function projectV3(document: Json): Json {
  const paths = projectPaths(document["paths"] as Json);
  const components = document["components"] as Json;
  if (components["schemas"] === undefined) return { ...document, paths };
  return {
    ...document,
    paths,
    components: { ...components, schemas: keepReachable(paths, components["schemas"] as Json) },
  };
}

function projectV2(document: Json): Json {
  const shared = document["parameters"] as Json;
  const paths = projectPaths(inlineParameters(document["paths"], shared) as Json);
  const { parameters: _parameters, ...rest } = document;
  return { ...rest, paths, definitions: keepReachable(paths, document["definitions"] as Json) };
}

/** Inlines shared parameters, because their names contain a hash of the descriptions. */
function inlineParameters(value: unknown, shared: Json): unknown {
  if (Array.isArray(value)) return value.map((item) => inlineParameters(item, shared));
  if (!isRecord(value)) return value;
  const name = /^#\/parameters\/(.*)-[\w-]{8}$/.exec(String(value["$ref"] ?? ""));
  if (name !== null) return { shared: name[1], is: shared[String(value["$ref"]).slice("#/parameters/".length)] };
  return mapValues(value, (item) => inlineParameters(item, shared));
}

/** Removes descriptions, but keeps fields that are called `description`. */
function withoutDescriptions(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter(isServedIdentity).map(withoutDescriptions);
  if (!isRecord(value)) return value;
  const kept = Object.entries(value).filter(([key, item]) => key !== "description" || typeof item !== "string");
  return Object.fromEntries(kept.map(([key, item]) => [key, withoutDescriptions(item)]));
}

/** Reports whether a kind is served. Types that all groups share list the kinds of every group. */
function isServedIdentity(value: unknown): boolean {
  if (!isRecord(value) || Object.keys(value).sort().join() !== "group,kind,version") return true;
  return SERVED_VERSIONS.has(`${String(value["group"])}/${String(value["version"])}`);
}

/** Keeps the schemas that the remaining paths refer to. */
function keepReachable(from: unknown, schemas: Json): Json {
  const found = new Set<string>();
  const waiting = [...references(from)];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    waiting.push(...references(schemas[name]));
  }
  return filterKeys(schemas, (name) => found.has(name));
}

function references(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(references);
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    key === "$ref" && typeof item === "string" ? [item.slice(item.lastIndexOf("/") + 1)] : references(item)
  );
}

/** The documents of the issuer of service account tokens. */
const ISSUER_DOCUMENTS: readonly string[] = [".well-known/openid-configuration", "openid/v1/jwks"];

function isServedDocument(name: string): boolean {
  if (["api", "apis", "version", ...ISSUER_DOCUMENTS].includes(name)) return true;
  const [root, group = "", version] = name.split("/");
  if (root === "api") return SERVED_VERSIONS.has(`/${group}`);
  return root === "apis" &&
    (version === undefined ? SERVED_GROUPS.has(group) : SERVED_VERSIONS.has(`${group}/${version}`));
}

/** Keeps the paths of served resources, and only the GET operation of those that are read-only. */
function projectPaths(paths: Json): Json {
  const served = Object.entries(paths).filter(([path]) => isServedPath(path));
  return Object.fromEntries(served.map(([path, item]) => {
    const key = findResourceOfPath(path);
    return [path, key !== undefined && READ_ONLY_RESOURCES.has(key) ? keepReading(item as Json) : item];
  }));
}

/** Moves the parameters of GET to its path, because the parameters that a path shares depend on all its operations. */
function keepReading({ get, parameters = [] }: Json): Json {
  const { parameters: own = [], ...operation } = get as Json;
  const all = [...parameters as readonly unknown[], ...own as readonly unknown[]].map((one) => JSON.stringify(one));
  return { get: operation, parameters: all.sort() };
}

function isServedPath(path: string): boolean {
  const key = findResourceOfPath(path);
  return key === undefined ? isServedDocument(path.slice(1, -1)) : SERVED_RESOURCES.has(key);
}

/** Returns the resource or subresource of a path, as in `SERVED_RESOURCES`, or undefined for the path of a document. */
function findResourceOfPath(path: string): string | undefined {
  if (ISSUER_DOCUMENTS.includes(path.slice(1, -1))) return undefined;
  const [root = "", ...all] = path.slice(1).replace(/\/$/, "").split("/");
  const [group = "", version, ...rest] = root === "api" ? ["", ...all] : all;
  if (rest.length === 0) return undefined;
  const inside = rest[0] === "watch" ? rest.slice(1) : rest;
  const [resource = "", , subresource] = inside[1] === "{namespace}" ? inside.slice(2) : inside;
  const key = `${group}/${version}/${resource}`;
  return subresource === undefined ? key : `${key}/${subresource}`;
}

function filterKeys(value: Json, keep: (key: string) => boolean): Json {
  return Object.fromEntries(Object.entries(value).filter(([key]) => keep(key)));
}

function mapValues(value: Json, map: (item: unknown) => unknown): Json {
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, map(item)]));
}
