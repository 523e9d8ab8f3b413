/**
 * `deno task image [--dist DIR] [--base DIR]`: builds container images of the Linux files in `dist/`, after `deno task
 * build`: an OCI archive for all processors (OCI image specification 1.1), a Docker archive for each (as from `docker
 * save`), and a bill of materials for each. No container engine is needed.
 *
 * The base layer consists of a few Debian packages, without a shell. They are downloaded into `dist/image-base`, which
 * needs apt. `--base` uses the packages in such a folder, without a network. The same files and packages give the same
 * bytes.
 */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { renderLicenses } from "../../cli/sbom/licenses.ts";
import { PACKAGES } from "../../cli/sbom/packages.ts";
import { createSbomContent, renderSbom, type SbomComponent, type SbomContent } from "../../cli/sbom/sbom.ts";
import { TLSBOOT_VERSION, UNKNOWN_BUILD } from "../../core/version.ts";
import { buildSeconds, readBuildFacts } from "../build/facts.ts";
import { readNodeVersions } from "../build/node_runtime.ts";
import { runScript } from "../processes.ts";
import {
  BASE_RELEASE,
  type BasePackage,
  fetchImageBase,
  IMAGE_DATA_DIR,
  IMAGE_USER,
  readImageBase,
} from "./image_base.ts";
import { createTar, type LinuxProgram, readLinuxPrograms, type TarEntry, toTarFile } from "./released_files.ts";

/** The name includes a host, so that no engine looks for the image in a public registry. */
const NAME = `localhost/tlsboot:${TLSBOOT_VERSION}`;
const CONFIG = {
  User: `${IMAGE_USER}:${IMAGE_USER}`,
  Env: ["PATH=/usr/bin", `TLSBOOT_DATA_DIR=/${IMAGE_DATA_DIR}`],
  Entrypoint: ["/usr/bin/tlsboot"],
  WorkingDir: "/",
};

async function main(): Promise<readonly string[]> {
  const { values } = parseArgs({ options: { dist: { type: "string", default: "dist" }, base: { type: "string" } } });
  return await writeImages(values.dist, values.base);
}

/**
 * Writes images next to the Linux files in a folder, with the Debian packages in `baseFolder` or from Debian.
 */
export async function writeImages(dist: string, baseFolder?: string): Promise<readonly string[]> {
  const programs = await readLinuxPrograms(dist);
  const facts = readBuildFacts(process.cwd());
  const seconds = buildSeconds(facts);
  const created = new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
  const content = createSbomContent({
    version: TLSBOOT_VERSION,
    build: facts,
    packages: PACKAGES,
    versions: await readNodeVersions(),
  });
  const labels = {
    "org.opencontainers.image.title": "tlsboot",
    "org.opencontainers.image.description": "Kubernetes TLS bootstrapping from both ends, in one file",
    "org.opencontainers.image.version": TLSBOOT_VERSION,
    "org.opencontainers.image.created": created,
    "org.opencontainers.image.licenses": "Apache-2.0",
    ...(facts.commit === UNKNOWN_BUILD.commit ? {} : { "org.opencontainers.image.revision": facts.commit }),
  };
  const stem = join(dist, `tlsboot-${TLSBOOT_VERSION}-image`);
  const paths: string[] = [];
  const write = async (path: string, data: Buffer): Promise<void> => {
    await writeFile(path, data);
    paths.push(path);
  };
  const images: EncodedImage[] = [];
  for (const { architecture, program } of programs) {
    const folder = join(baseFolder ?? join(dist, "image-base"), architecture);
    if (baseFolder === undefined) {
      await rm(folder, { recursive: true, force: true });
      await fetchImageBase(folder, architecture);
    }
    const base = await readImageBase(folder);
    const sbom = Buffer.from(renderSbom(withImage(content, architecture, base.packages)));
    const image = encodeImage({
      architecture,
      created,
      labels,
      config: CONFIG,
      layers: [
        // Without its own date, the layer is the same for every tlsboot on the same packages.
        {
          comment: `Debian: ${base.packages.map(({ name, version }) => `${name} ${version}`).join(", ")}`,
          entries: base.entries,
          modifiedSeconds: 0,
        },
        {
          comment: `tlsboot ${TLSBOOT_VERSION}`,
          entries: createProgramEntries(program, sbom),
          modifiedSeconds: seconds,
        },
      ],
    });
    images.push(image);
    await write(`${stem}-${architecture}.docker.tar`, createDockerArchive(NAME, image, seconds));
    await write(`${stem}-${architecture}.cdx.json`, sbom);
  }
  await write(`${stem}.oci.tar`, createOciArchive(NAME, images, seconds));
  return paths;
}

function createProgramEntries(program: LinuxProgram["program"], sbom: Buffer): readonly TarEntry[] {
  const folders = ["usr/", "usr/bin/", "usr/share/", "usr/share/doc/", "usr/share/doc/tlsboot/"];
  return [
    ...folders.map((path) => ({ path, mode: 0o755 })),
    { path: "usr/bin/tlsboot", mode: 0o755, data: program },
    { path: "usr/share/doc/tlsboot/copyright", mode: 0o644, data: Buffer.from(renderLicenses()) },
    { path: "usr/share/doc/tlsboot/tlsboot.cdx.json", mode: 0o644, data: sbom },
  ];
}

/** Describes an image: the program with its components, and the Debian packages. */
function withImage(program: SbomContent, architecture: string, packages: readonly BasePackage[]): SbomContent {
  const debian = packages.map((item): SbomComponent => {
    // purl specification, type deb: "+" is escaped in a version.
    const purl = `pkg:deb/debian/${encodeURIComponent(item.name)}@${encodeURIComponent(item.version)}` +
      `?arch=${item.architecture}&distro=${BASE_RELEASE}`;
    return {
      type: "library",
      "bom-ref": purl,
      name: item.name,
      version: item.version,
      hashes: [{ alg: "SHA-256", content: item.sha256 }],
      purl,
    };
  });
  const image: SbomComponent = {
    type: "container",
    "bom-ref": `tlsboot-image-${architecture}`,
    name: "tlsboot",
    version: TLSBOOT_VERSION,
  };
  const own = program.metadata.component;
  return {
    metadata: { ...program.metadata, component: image },
    components: [own, ...program.components, ...debian],
    dependencies: [
      { ref: image["bom-ref"], dependsOn: [own, ...debian].map((component) => component["bom-ref"]) },
      ...program.dependencies,
      ...debian.map((component) => ({ ref: component["bom-ref"], dependsOn: [] })),
    ],
  };
}

/** A layer of an image. */
interface ImageLayer {
  /** Describes the content of the layer. */
  readonly comment: string;
  readonly entries: readonly TarEntry[];
  /** The modification time of all files, in seconds since 1970. */
  readonly modifiedSeconds: number;
}

/** An image for one processor. */
export interface Image {
  readonly architecture: "amd64" | "arm64";
  readonly layers: readonly ImageLayer[];
  /** The settings of a container, in the format of OCI's image configuration. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The date of the image in RFC 3339. */
  readonly created: string;
  /** The labels, which OCI calls annotations. */
  readonly labels: Readonly<Record<string, string>>;
}

/** The encoded parts of an image, which archives address by their digests. */
interface EncodedImage {
  readonly platform: object;
  readonly annotations: Readonly<Record<string, string>>;
  readonly config: Buffer;
  readonly layers: readonly Buffer[];
}

/** The prefix of OCI's media types. */
const MEDIA = "application/vnd.oci.image";

/** Encodes and compresses an image. */
export function encodeImage({ architecture, layers, config, created, labels }: Image): EncodedImage {
  const tars = layers.map(({ entries, modifiedSeconds }) => createTar(entries, modifiedSeconds));
  // The variant of arm64 is v8, which other images state too.
  const platform = { architecture, os: "linux", ...(architecture === "arm64" ? { variant: "v8" } : {}) };
  return {
    platform,
    annotations: labels,
    config: toJson({
      created,
      ...platform,
      config: { ...config, Labels: labels },
      rootfs: { type: "layers", diff_ids: tars.map(toDigest) },
      history: layers.map(({ comment }) => ({ created, created_by: comment })),
    }),
    layers: tars.map((tar) => gzipSync(tar)),
  };
}

/** Creates one archive of an image for several processors, under a name such as `localhost/tlsboot:0.1.0`. */
export function createOciArchive(name: string, images: readonly EncodedImage[], modifiedSeconds: number): Buffer {
  const blobs = new Map<string, Buffer>();
  const add = (blob: Buffer, mediaType: string): { mediaType: string; digest: string; size: number } => {
    blobs.set(toDigest(blob), blob);
    return { mediaType, digest: toDigest(blob), size: blob.length };
  };
  const manifests = images.map(({ platform, annotations, config, layers }) => {
    const manifest = toJson({
      schemaVersion: 2,
      mediaType: `${MEDIA}.manifest.v1+json`,
      config: add(config, `${MEDIA}.config.v1+json`),
      layers: layers.map((layer) => add(layer, `${MEDIA}.layer.v1.tar+gzip`)),
      annotations,
    });
    return { ...add(manifest, `${MEDIA}.manifest.v1+json`), platform };
  });
  const index = toJson({ schemaVersion: 2, mediaType: `${MEDIA}.index.v1+json`, manifests });
  // podman reads the first annotation, containerd (and so k3s and Docker) the second.
  const annotations = { "org.opencontainers.image.ref.name": name, "io.containerd.image.name": name };
  const whole = { ...add(index, `${MEDIA}.index.v1+json`), annotations };
  return createTar([
    toTarFile("oci-layout", toJson({ imageLayoutVersion: "1.0.0" })),
    toTarFile("index.json", toJson({ schemaVersion: 2, mediaType: `${MEDIA}.index.v1+json`, manifests: [whole] })),
    { path: "blobs/", mode: 0o755 },
    { path: "blobs/sha256/", mode: 0o755 },
    ...[...blobs].map(([digest, blob]) => toTarFile(`blobs/${digest.replace(":", "/")}`, blob)),
  ], modifiedSeconds);
}

/** Creates an archive of an image for one processor, which every version of `docker load` reads. */
export function createDockerArchive(name: string, image: EncodedImage, modifiedSeconds: number): Buffer {
  const config = `${toDigest(image.config).slice("sha256:".length)}.json`;
  const layers = image.layers.map((layer) => [`${toDigest(layer).slice("sha256:".length)}.tar.gz`, layer] as const);
  return createTar([
    toTarFile("manifest.json", toJson([{ Config: config, RepoTags: [name], Layers: layers.map(([path]) => path) }])),
    toTarFile(config, image.config),
    ...layers.map(([path, layer]) => toTarFile(path, layer)),
  ], modifiedSeconds);
}

function toJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function toDigest(blob: Uint8Array): string {
  return `sha256:${hash("sha256", blob)}`;
}

runScript(import.meta, main);
