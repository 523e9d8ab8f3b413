/** Reduces discovery documents of every form to the groups, resources and paths that tlsboot has. */
import { isRecord } from "../../../core/lib/record.ts";
import { Buffer } from "node:buffer";
import { decodeMessage } from "../../../core/kube/wire/protobuf.ts";
import { apiGroupDiscoveryListSchema } from "../../../core/kube/kinds/discovery.ts";
import { apiResourceListSchema, apiVersionsSchema } from "../../../core/kube/kinds/mod.ts";
import type { MessageSchema } from "../../../core/kube/schema.ts";
import { READ_VERBS } from "../../../server/registry/resource.ts";
import { READ_ONLY_RESOURCES, SERVED_CHECKS, SERVED_GROUPS, SERVED_RESOURCES } from "./served_kinds.ts";

type Json = Readonly<Record<string, unknown>>;

/** Reduces lists of groups, lists of resources, aggregated discovery and the list of paths. */
export function projectDiscovery(body: unknown): unknown {
  const document = decodeRaw(body);
  if (!isRecord(document)) return document;
  if (isList(document["groups"])) {
    return { ...document, groups: document["groups"].filter(({ name }) => SERVED_GROUPS.has(String(name))) };
  }
  if (isList(document["resources"])) {
    const version = toVersionKey(String(document["groupVersion"]));
    const resources = document["resources"]
      .filter(({ name }) => SERVED_RESOURCES.has(`${version}/${String(name)}`))
      .map((resource) => withServedVerbs(`${version}/${String(resource["name"])}`, resource));
    return { ...document, resources };
  }
  if (isList(document["items"])) return { ...document, items: document["items"].flatMap(projectGroup) };
  if (Array.isArray(document["paths"])) {
    return { paths: document["paths"].filter((path) => isCommonPath(String(path))) };
  }
  return document;
}

/** The schemas of protobuf answers that `readBody` cannot find by their version. */
const SCHEMAS: Readonly<Record<string, MessageSchema>> = {
  APIGroupDiscoveryList: apiGroupDiscoveryListSchema,
  APIResourceList: apiResourceListSchema,
  APIVersions: apiVersionsSchema,
};

function decodeRaw(body: unknown): unknown {
  if (!isRecord(body) || typeof body["raw"] !== "string") return body;
  const schema = SCHEMAS[String(body["kind"])];
  if (schema === undefined) return body;
  const { raw, ...identity } = body;
  return { ...identity, ...decodeMessage(schema, Buffer.from(raw, "hex")) };
}

function projectGroup(group: Json): readonly Json[] {
  const name = String((group["metadata"] as Json)["name"] ?? "");
  if (!SERVED_GROUPS.has(name)) return [];
  const versions = (group["versions"] as readonly Json[]).map((version) => {
    const key = `${name}/${String(version["version"])}`;
    const resources = version["resources"] as readonly Json[];
    return { ...version, resources: resources.flatMap((resource) => projectResource(key, resource)) };
  });
  return [{ ...group, versions }];
}

function projectResource(version: string, resource: Json): readonly Json[] {
  const key = `${version}/${String(resource["resource"])}`;
  if (!SERVED_RESOURCES.has(key)) return [];
  const { subresources, ...rest } = withServedVerbs(key, resource);
  if (!isList(subresources)) return [rest];
  const served = subresources.filter(({ subresource }) => SERVED_RESOURCES.has(`${key}/${String(subresource)}`));
  return [served.length === 0 ? rest : { ...rest, subresources: served }];
}

/** Removes the writing verbs from a resource that is read-only in tlsboot. */
function withServedVerbs(key: string, resource: Json): Json {
  const { verbs } = resource;
  if (!READ_ONLY_RESOURCES.has(key) || !Array.isArray(verbs)) return resource;
  return { ...resource, verbs: verbs.filter((verb) => READ_VERBS.includes(String(verb))) };
}

/** Returns `/v1` for `v1`, and `apps/v1` unchanged. */
function toVersionKey(groupVersion: string): string {
  return groupVersion.includes("/") ? groupVersion : `/${groupVersion}`;
}

/** Debugging pages, which tlsboot does not serve. */
const FOREIGN_PATHS: readonly RegExp[] = [/^\/(flagz|statusz|logs|debug)(\/|$)/, /^\/metrics\/./];

function isCommonPath(path: string): boolean {
  if (FOREIGN_PATHS.some((foreign) => foreign.test(path))) return false;
  const [, root = "", ...rest] = path.split("/");
  if (["healthz", "livez", "readyz"].includes(root)) return rest.length === 0 || SERVED_CHECKS.has(rest.join("/"));
  return root !== "apis" || rest.length === 0 || rest[0] === "" || SERVED_GROUPS.has(rest[0]!);
}

function isList(value: unknown): value is readonly Json[] {
  return Array.isArray(value) && value.every(isRecord);
}
