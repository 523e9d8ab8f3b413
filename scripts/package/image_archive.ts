/**
 * Container images as archives, written without a container engine: the image layout of the OCI image specification 1.1
 * as a tar archive, and the archive of `docker save`. The same input, the same bytes.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { createTar, type TarEntry } from "./tar.ts";

/** A layer of an image. */
export interface ImageLayer {
  /** What the layer is, in a sentence. */
  readonly comment: string;
  readonly entries: readonly TarEntry[];
  /** The age of everything inside, seconds since 1970. */
  readonly modifiedSeconds: number;
}

/** An image for one processor. */
export interface Image {
  readonly architecture: "amd64" | "arm64";
  readonly layers: readonly ImageLayer[];
  /** What a container starts with, in the words of OCI's image configuration. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The date of the image in RFC 3339. */
  readonly created: string;
  /** The labels, which OCI calls annotations. */
  readonly labels: Readonly<Record<string, string>>;
}

/** An image in its parts, each found by its digest. */
export interface EncodedImage {
  readonly platform: object;
  readonly annotations: Readonly<Record<string, string>>;
  readonly config: Buffer;
  readonly layers: readonly Buffer[];
}

const MEDIA = "application/vnd.oci.image";

/** Encodes and compresses an image. */
export function encodeImage({ architecture, layers, config, created, labels }: Image): EncodedImage {
  const tars = layers.map(({ entries, modifiedSeconds }) => createTar(entries, modifiedSeconds));
  // The first version of arm64 is v8, and the usual images name it.
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

/** Makes one archive of an image for several processors, under a name such as `localhost/tlsboot:0.1.0`. */
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
    toFile("oci-layout", toJson({ imageLayoutVersion: "1.0.0" })),
    toFile("index.json", toJson({ schemaVersion: 2, mediaType: `${MEDIA}.index.v1+json`, manifests: [whole] })),
    { path: "blobs/", mode: 0o755 },
    { path: "blobs/sha256/", mode: 0o755 },
    ...[...blobs].map(([digest, blob]) => toFile(`blobs/${digest.replace(":", "/")}`, blob)),
  ], modifiedSeconds);
}

/** Makes the archive that `docker load` of any age reads: an image for one processor. */
export function createDockerArchive(name: string, image: EncodedImage, modifiedSeconds: number): Buffer {
  const config = `${toDigest(image.config).slice("sha256:".length)}.json`;
  const layers = image.layers.map((layer) => [`${toDigest(layer).slice("sha256:".length)}.tar.gz`, layer] as const);
  return createTar([
    toFile("manifest.json", toJson([{ Config: config, RepoTags: [name], Layers: layers.map(([path]) => path) }])),
    toFile(config, image.config),
    ...layers.map(([path, layer]) => toFile(path, layer)),
  ], modifiedSeconds);
}

function toFile(path: string, data: Buffer): TarEntry {
  return { path, mode: 0o644, data };
}

function toJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function toDigest(blob: Uint8Array): string {
  return `sha256:${createHash("sha256").update(blob).digest("hex")}`;
}
