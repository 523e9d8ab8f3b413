/** Renders the bill of materials as CycloneDX 1.6 (cyclonedx.org/docs/1.6/json). The same program has the same document. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { BuildCommit } from "../../core/version.ts";
import { getRuntime, type RuntimeVersions } from "../../core/version.ts";

/** An npm package that the program imports, directly or through another package. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** The licence of the package, an SPDX expression. */
  readonly license: string;
  /** The hash of the package's archive: `sha512-` and Base64 (w3.org/TR/SRI). */
  readonly integrity: string;
  /** The names of the packages in the list that it depends on. */
  readonly dependencies: readonly string[];
  /** True for packages that tlsboot imports itself. */
  readonly isDirect: boolean;
}

/** Returns the name and version of a package: `hono@4.13.19`. */
export function packageId({ name, version }: Pick<BundledPackage, "name" | "version">): string {
  return `${name}@${version}`;
}

/** The program that a bill of materials describes. */
interface SbomSubject {
  readonly version: string;
  readonly build: BuildCommit;
  readonly packages: readonly BundledPackage[];
  /** The versions of the runtime and its components. */
  readonly versions: RuntimeVersions;
}

/** A component in CycloneDX's terms. */
export interface SbomComponent {
  readonly type: "application" | "container" | "library" | "platform";
  readonly "bom-ref": string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly hashes?: readonly { readonly alg: "SHA-256" | "SHA-512"; readonly content: string }[];
  readonly licenses?: readonly (
    | { readonly license: { readonly id: string } }
    | { readonly expression: string }
  )[];
  readonly cpe?: string;
  /** The package URL. Absent for a component that is in no registry. */
  readonly purl?: string;
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
  readonly components?: readonly SbomComponent[];
}

/** The content of a bill of materials. */
export interface SbomContent {
  readonly metadata: { readonly timestamp?: string; readonly component: SbomComponent };
  readonly components: readonly SbomComponent[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** Names in `process.versions` that are not components: interfaces, and the runtime itself. */
const NO_PARTS = new Set(["node", "deno", "modules", "napi"]);
/** Names that Deno reports for compatibility, although it does not contain these components. */
const CLAIMED_BY_DENO = new Set([...NO_PARTS, "openssl", "nghttp2", "llhttp", "ares", "uv"]);

/** Describes the program, its packages and its runtime. */
export function createSbomContent({ version, build, packages, versions }: SbomSubject): SbomContent {
  const own = npmComponent({ name: "@tlsboot/tlsboot", version, license: "Apache-2.0", type: "application" });
  const runtime = runtimeComponent(versions);
  const refs = new Map(packages.map((item) => [item.name, toPurl(item)]));
  return {
    metadata: {
      ...(build.date === "unknown" ? {} : { timestamp: build.date }),
      component: { ...own, properties: [{ name: "tlsboot:commit", value: build.commit }] },
    },
    components: [...packages.map((item) => npmComponent({ ...item, type: "library" })), runtime],
    dependencies: [
      {
        ref: own["bom-ref"],
        dependsOn: [...packages.filter(({ isDirect }) => isDirect).map(toPurl), runtime["bom-ref"]],
      },
      ...packages.map((item) => ({ ref: toPurl(item), dependsOn: item.dependencies.map((name) => refs.get(name)!) })),
      { ref: runtime["bom-ref"], dependsOn: runtime.components.map((part) => part["bom-ref"]) },
      ...runtime.components.map((part) => ({ ref: part["bom-ref"], dependsOn: [] })),
    ],
  };
}

/** Renders the document, with its keys in the usual order of the format. */
export function renderSbom(content: SbomContent): string {
  const document = { bomFormat: "CycloneDX", specVersion: "1.6", version: 1, ...content };
  const $schema = "http://cyclonedx.org/schema/bom-1.6.schema.json";
  return `${JSON.stringify({ $schema, serialNumber: createSerialNumber(document), ...document }, null, 2)}\n`;
}

function npmComponent(
  item: Pick<BundledPackage, "name" | "version" | "license"> & Partial<BundledPackage> & Pick<SbomComponent, "type">,
): SbomComponent {
  const [group, name] = item.name.startsWith("@") ? item.name.split("/") as [string, string] : [undefined, item.name];
  const isExpression = item.license.includes(" ");
  return {
    type: item.type,
    "bom-ref": toPurl(item),
    ...(group === undefined ? {} : { group }),
    name,
    version: item.version,
    ...(item.integrity === undefined ? {} : { hashes: [{ alg: "SHA-512", content: toHex(item.integrity) }] }),
    licenses: [isExpression ? { expression: item.license } : { license: { id: item.license } }],
    purl: toPurl(item),
  };
}

/** Creates the component for Node or Deno, with the components that it reports. */
function runtimeComponent(
  versions: RuntimeVersions,
): SbomComponent & { readonly components: readonly SbomComponent[] } {
  const runtime = getRuntime(versions);
  const omitted = runtime.name === "Deno" ? CLAIMED_BY_DENO : NO_PARTS;
  const parts = Object.entries(versions).flatMap(([name, version = ""]) =>
    omitted.has(name) || version === "" ? [] : [partComponent(name, version)]
  );
  const purl = runtime.name === "Deno"
    ? `pkg:github/denoland/deno@v${runtime.version}`
    : `pkg:github/nodejs/node@v${runtime.version}`;
  return {
    type: "platform",
    "bom-ref": purl,
    name: runtime.name === "Deno" ? "deno" : "node",
    version: runtime.version,
    licenses: [{ license: { id: "MIT" } }],
    ...(runtime.name === "Node" ? { cpe: `cpe:2.3:a:nodejs:node.js:${runtime.version}:*:*:*:*:*:*:*` } : {}),
    purl,
    components: parts.sort((a, b) => a.name < b.name ? -1 : 1),
  };
}

function partComponent(name: string, version: string): SbomComponent {
  const purl = `pkg:generic/${name}@${encodeURIComponent(version)}`;
  return {
    type: "library",
    "bom-ref": purl,
    name,
    version,
    ...(name === "openssl" ? { cpe: `cpe:2.3:a:openssl:openssl:${version}:*:*:*:*:*:*:*` } : {}),
    purl,
  };
}

/** Converts a package to its package URL; the `@` of a scope is escaped (purl specification, type npm). */
function toPurl(item: Pick<BundledPackage, "name" | "version">): string {
  return `pkg:npm/${packageId(item).replace(/^@/, "%40")}`;
}

function toHex(integrity: string): string {
  return Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex");
}

/** Derives a UUID of version 8 (RFC 9562 section 5.8) from the content, so that the same document has the same number. */
function createSerialNumber(document: object): string {
  const hex = createHash("sha256").update(JSON.stringify(document)).digest("hex");
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ];
  return `urn:uuid:${parts.join("-")}`;
}
