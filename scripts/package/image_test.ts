import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { readTarFiles } from "../../core/lib/tar.ts";
import { createDockerArchive, createOciArchive, encodeImage, type Image } from "./image.ts";

const NAME = "localhost/tlsboot:1.2.3";
const WHEN = 1_769_860_800;

function createImage(architecture: Image["architecture"]): Image {
  return {
    architecture,
    created: "2026-01-31T12:00:00Z",
    labels: { "org.opencontainers.image.version": "1.2.3" },
    config: { User: "65532:65532" },
    layers: ["base", architecture].map((name) => ({
      comment: name,
      entries: [{ path: name, mode: 0o644, data: Buffer.from(name) }],
      modifiedSeconds: WHEN,
    })),
  };
}

/** Reads the files of an archive; folders have no content and are left out. */
function readArchive(archive: Buffer): ReadonlyMap<string, Uint8Array> {
  // The two folders of an OCI layout are between index.json and the blobs.
  const folders = ["blobs/", "blobs/sha256/"].map((path) => archive.indexOf(path.padEnd(100, "\0"), 0, "latin1"));
  const blocks = Array.from({ length: archive.length / 512 }, (_, index) => index * 512);
  const kept = blocks.filter((at) => !folders.includes(at)).map((at) => archive.subarray(at, at + 512));
  const read = readTarFiles(Buffer.concat(kept));
  assert.ok(read.ok);
  return read.value;
}

const toDigest = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

test("createOciArchive() has an index of all processors, and each blob under its digest", () => {
  const images = (["amd64", "arm64"] as const).map((architecture) => encodeImage(createImage(architecture)));
  const files = readArchive(createOciArchive(NAME, images, WHEN));
  const blob = (digest: string) => files.get(`blobs/${digest.replace(":", "/")}`)!;
  const parse = (bytes: Uint8Array | undefined) => JSON.parse(Buffer.from(bytes!).toString());
  for (const [path, bytes] of files) {
    if (path.startsWith("blobs/")) assert.equal(path, `blobs/${toDigest(bytes).replace(":", "/")}`);
  }
  const [whole, ...others] = parse(files.get("index.json")).manifests;
  assert.deepEqual(others, []);
  assert.deepEqual(whole.annotations, {
    "org.opencontainers.image.ref.name": NAME,
    "io.containerd.image.name": NAME,
  });
  const { manifests } = parse(blob(whole.digest));
  assert.deepEqual(manifests.map(({ platform }: { platform: unknown }) => platform), [
    { architecture: "amd64", os: "linux" },
    { architecture: "arm64", os: "linux", variant: "v8" },
  ]);
  for (const { digest, size } of manifests) {
    assert.equal(blob(digest).length, size);
    const { config, layers } = parse(blob(digest));
    const { rootfs } = parse(blob(config.digest));
    // The manifest has the digest of the compressed layer, and the configuration that of the uncompressed one.
    assert.deepEqual(
      rootfs.diff_ids,
      layers.map((layer: { digest: string }) => toDigest(gunzipSync(blob(layer.digest)))),
    );
  }
  // The shared layer is stored once: oci-layout, index.json, an index, two manifests, two configurations.
  assert.equal(files.size, 7 + 3);
});

test("createDockerArchive() has the configuration and the layers of one image", () => {
  const image = encodeImage(createImage("arm64"));
  const files = readArchive(createDockerArchive(NAME, image, WHEN));
  const [{ Config, RepoTags, Layers }] = JSON.parse(Buffer.from(files.get("manifest.json")!).toString());
  assert.deepEqual(RepoTags, [NAME]);
  assert.deepEqual(files.get(Config), image.config);
  assert.deepEqual(Layers.map((path: string) => files.get(path)), image.layers);
});

test("createOciArchive() and createDockerArchive() give the same bytes for the same images", () => {
  const make = () => {
    const image = encodeImage(createImage("amd64"));
    return Buffer.concat([createOciArchive(NAME, [image], WHEN), createDockerArchive(NAME, image, WHEN)]);
  };
  assert.deepEqual(make(), make());
});
