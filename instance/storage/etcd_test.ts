import assert from "node:assert/strict";
import { test } from "node:test";
import { isAppError } from "../../core/errors.ts";
import { dataDirAt } from "../data_dir.ts";
import { assertEtcdPlace, formatEtcdPlace, readEtcdPlace } from "./etcd.ts";

const dir = dataDirAt("/instance");

function filesWith(etcdPlace: string | undefined, hasDatabase = false, format = "1\n") {
  return {
    readText: async (path: string) =>
      ({ [dir.etcdPlace]: etcdPlace, [`${dir.root}/format`]: format } as Record<string, string | undefined>)[path],
    stat: async (path: string) =>
      hasDatabase && path === dir.database ? { kind: "file", mode: 0o600, isOwnedByOther: false } as const : undefined,
  };
}

test("readEtcdPlace() reads the output of formatEtcdPlace(), with a normalized prefix, and refuses anything else", async () => {
  const place = { servers: ["https://a:1", "https://b:1"], prefix: "registry/", backup: "ab" };
  const text = formatEtcdPlace(place);
  assert.match(text, /^# The objects of this folder are in etcd/);
  assert.deepEqual(await readEtcdPlace(dir, filesWith(text)), { ...place, prefix: "/registry" });
  assert.equal(await readEtcdPlace(dir, filesWith(undefined)), undefined);
  for (const other of ["", "a: b", text.replace("servers:", "server:"), text.replace("EtcdPlace", "Other")]) {
    await assert.rejects(readEtcdPlace(dir, filesWith(other)), (error) => isAppError(error, "config_invalid"), other);
  }
});

const ETCD = formatEtcdPlace({ servers: ["http://a:1"], prefix: "/registry" });
const ELSEWHERE = formatEtcdPlace({ servers: ["http://a:1"], prefix: "/instances/one" });

const NO_FILES = { etcdCafile: undefined, etcdCertfile: undefined, etcdKeyfile: undefined } as const;

for (
  const { name, file, hasDatabase = false, servers = [], prefix = "/registry", want } of [
    { name: "a new folder without etcd" },
    { name: "a new folder with etcd", servers: ["http://a:1"] },
    { name: "a database without etcd", hasDatabase: true },
    { name: "a folder in etcd with etcd", file: ETCD, servers: ["http://b:1"], prefix: "registry/" },
    {
      name: "a folder in etcd that has an old database, with etcd",
      file: ETCD,
      hasDatabase: true,
      servers: ["http://a:1"],
    },
    {
      name: "a folder in etcd without etcd",
      file: ETCD,
      want:
        /cannot serve "\/instance": its objects are in etcd, below "\/registry".*give the setting etcdServers http:\/\/a:1;/,
    },
    {
      name: "a folder in etcd that has an old database, without etcd",
      file: ELSEWHERE,
      hasDatabase: true,
      want: /its objects are in etcd, below "\/instances\/one".*the setting etcdPrefix \/instances\/one;/,
    },
    {
      name: "another prefix",
      file: ELSEWHERE,
      servers: ["http://a:1"],
      want: /its objects are below "\/instances\/one" in etcd, not "\/registry"/,
    },
    {
      name: "a database with etcd",
      hasDatabase: true,
      servers: ["http://a:1"],
      want: /its objects are in its database.*move tlsboot\.db elsewhere/,
    },
  ]
) {
  test(`assertEtcdPlace() ${want === undefined ? "accepts" : "refuses"} ${name}`, async () => {
    const settings = { ...NO_FILES, etcdServers: servers, etcdPrefix: prefix };
    const asserted = assertEtcdPlace(dir, settings, "serve", filesWith(file, hasDatabase));
    if (want === undefined) return await asserted;
    await assert.rejects(
      asserted,
      (error) => isAppError(error, "config_invalid") && want.test(`${error.message} ${error.hint}`),
    );
  });
}

test("assertEtcdPlace() does not change a data directory of a newer build, whatever its etcd.yaml contains", async () => {
  const settings = { ...NO_FILES, etcdServers: [], etcdPrefix: "/registry" };
  const newer = filesWith("what: a newer build writes\n", false, "2\n");
  await assert.rejects(assertEtcdPlace(dir, settings, "serve", newer), (error) => isAppError(error, "format_unknown"));
});
