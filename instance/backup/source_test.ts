import assert from "node:assert/strict";
import { mkdir, realpath, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { once } from "node:events";
import { before, describe, test } from "node:test";
import { assertOneInstance, assertOutside, readDataFiles } from "./source.ts";
import { MAX_PART_BYTES } from "./manifest.ts";
import { isAppError } from "../../core/errors.ts";
import { createTempFolder, type TempFolder } from "../../tests/support/temp.ts";
import { encodeClusterInfo } from "../../core/token/cluster_info.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";

async function dataIn(folder: TempFolder): Promise<string> {
  await mkdir(folder.join("data/pki"), { recursive: true });
  await writeFile(folder.join("data/pki/ca.crt"), "certificate");
  return folder.join("data");
}

async function readTexts(root: string): Promise<Readonly<Record<string, string>>> {
  const texts: Record<string, string> = {};
  for await (const { path, bytes } of readDataFiles(root)) texts[path] = new TextDecoder().decode(bytes);
  return texts;
}

test("readDataFiles() follows links and keeps their names", async () => {
  await using folder = await createTempFolder();
  const data = await dataIn(folder);
  await mkdir(folder.join("disk/nodes"), { recursive: true });
  await writeFile(folder.join("disk/ca.key"), "key");
  await writeFile(folder.join("disk/nodes/a"), "node");
  await symlink(folder.join("disk/ca.key"), `${data}/pki/ca.key`);
  await symlink(folder.join("disk/nodes"), `${data}/nodes`);
  await symlink("nodes", `${data}/same`);
  assert.deepEqual(await readTexts(data), {
    "nodes/a": "node",
    "pki/ca.crt": "certificate",
    "pki/ca.key": "key",
    "same/a": "node",
  });
});

test("readDataFiles() reports an entry that cannot be backed up", async () => {
  await using folder = await createTempFolder();
  const data = await dataIn(folder);
  const entry = `${data}/pki/entry`;
  for (
    const [make, fault] of [
      [() => symlink("nothing", entry), /no such file/i],
      [() => symlink("entry", entry), /ELOOP|too many levels|symbolic links/i],
      [() => symlink(data, entry), /it leads back to a folder that contains it/],
      [() => symlink("/dev/null", entry), /it is neither a file nor a folder/],
      [() => largeFile(entry), /no file in a backup may have more than 268435456/],
    ] as const
  ) {
    await make();
    await assert.rejects(readTexts(data), (error) => isNamed(error, entry) && fault.test(error.message), `${fault}`);
    await rm(entry);
  }
});

test("readDataFiles() reports a file that no restore would accept", async () => {
  await using folder = await createTempFolder();
  const data = await dataIn(folder);
  const entry = `${data}/pki/a\\b`;
  await writeFile(entry, "");
  await assert.rejects(
    readTexts(data),
    (error) => isNamed(error, entry) && /its name has a backslash/.test(error.message),
  );
});

test("readDataFiles() reports a socket", async () => {
  await using folder = await createTempFolder();
  const data = await dataIn(folder);
  const server = createServer().listen(`${data}/socket`);
  await once(server, "listening");
  try {
    await assert.rejects(readTexts(data), (error) => isNamed(error, `${data}/socket`));
  } finally {
    server.close();
  }
});

function isNamed(error: unknown, path: string): error is Error {
  return isAppError(error, "io") && error.message.includes(`"${path}"`) && error.hint !== undefined;
}

/** Creates a sparse file that is too large for a backup. */
async function largeFile(path: string): Promise<void> {
  await writeFile(path, "");
  await truncate(path, MAX_PART_BYTES + 1);
}

test("readDataFiles() omits logs, the database and unfinished files, regardless of their type", async () => {
  await using folder = await createTempFolder();
  const data = await dataIn(folder);
  await symlink("nothing", `${data}/audit.log`);
  await largeFile(`${data}/tlsboot.db`);
  assert.deepEqual(Object.keys(await readTexts(data)), ["pki/ca.crt"]);
});

test("assertOutside() refuses a backup inside the data directory, also through a link", async () => {
  await using folder = await createTempFolder();
  const data = await realpath(await dataIn(folder));
  await symlink(data, folder.join("link"));
  for (
    const [root, target] of [
      [data, `${data}/a.backup`],
      [data, `${data}/pki/a.backup`],
      [data, folder.join("link/a.backup")],
      [folder.join("link"), `${data}/..a.backup`],
    ] as const
  ) {
    await assert.rejects(assertOutside(root, target), (error) => isAppError(error, "invalid"), target);
  }
  await assertOutside(data, folder.join("a.backup"));
  await assertOutside(data, `${data}.backup`);
  await assertOutside(data, folder.join("none/a.backup"));
});

const PEM = { ours: "", other: "" };
describe("a backup of one instance", () => {
  before(async () => {
    const now = createFakeClock().now();
    PEM.ours = (await createIssuingCa(now)).caPem;
    PEM.other = (await createIssuingCa(now)).caPem;
  });

  const key = "/registry/configmaps/kube-public/cluster-info";
  const published = (caPem: string) => ({
    key,
    object: { metadata: {}, data: { kubeconfig: encodeClusterInfo({ server: "https://a:6443", caPem }) } },
  });

  for (
    const { name, items, caFile = () => PEM.ours, isRefused = false } of [
      { name: "cluster-info with the CA of the folder", items: () => [published(PEM.ours)] },
      {
        name: "the same CA in another notation",
        items: () => [published(PEM.ours)],
        caFile: () => `subject=/CN=x\n${PEM.ours.replaceAll("\n", "\r\n")}\n`,
      },
      { name: "cluster-info with another CA", items: () => [published(PEM.other)], isRefused: true },
      { name: "another CA elsewhere", items: () => [{ ...published(PEM.other), key: `${key}-2` }] },
      { name: "no cluster-info", items: () => [] },
      { name: "a cluster-info without a kubeconfig", items: () => [{ key, object: { metadata: {} } }] },
      { name: "a folder without a CA", items: () => [published(PEM.other)], caFile: () => undefined },
      { name: "a folder whose CA cannot be read", items: () => [published(PEM.other)], caFile: () => "x" },
    ]
  ) {
    test(`assertOneInstance() ${isRefused ? "refuses" : "accepts"} ${name}`, () => {
      const check = () => assertOneInstance({ items: items(), caFile: caFile(), root: "/data" });
      if (isRefused) assert.throws(check, { code: "ca_invalid", message: /"\/data": the objects .* another CA/ });
      else check();
    });
  }
});
