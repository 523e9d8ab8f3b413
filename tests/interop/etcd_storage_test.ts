/** The storage contract against a real etcd, of the newest and of the oldest release that is supported. */
import { Buffer } from "node:buffer";
import { after, before } from "node:test";
import { openEtcdStorage } from "../../server/storage/etcd/open.ts";
import type { StoredValues } from "../../server/storage/etcd/contents.ts";
import { type OpenStorage, testStorage } from "../contract/storage_contract.ts";
import { testStorageModel } from "../contract/storage_model.ts";
import { type Etcd, startEtcd } from "../support/interop/etcd.ts";

/** Plain JSON, for the made-up kinds of the contract. */
const JSON_VALUES: StoredValues = {
  root: "/registry/",
  prefixes: ["/registry/"],
  encode(_key, { kind: _kind, apiVersion: _apiVersion, ...object }) {
    return Buffer.from(JSON.stringify(object));
  },
  decode: (_key, value) => JSON.parse(new TextDecoder().decode(value)),
};

/** Deletes everything, and forgets that there was anything, so that each test starts with a history of its own. */
async function empty(url: string): Promise<void> {
  const call = async (path: string, body: object) => {
    const response = await fetch(`${url}/v3/kv/${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`etcd ${path}: ${response.status} ${await response.text()}`);
    return await response.json() as { readonly header: { readonly revision: string } };
  };
  const encode = (text: string) => Buffer.from(text).toString("base64");
  const { header } = await call("deleterange", { key: encode("/"), range_end: encode("0") });
  await call("compaction", { revision: header.revision }).catch(() => undefined);
}

const SHARED = { keepsCallOrder: false, expiresByClock: false };

for (const release of ["etcd", "etcd-3.5"] as const) {
  let etcd: Etcd;
  before(async () => void (etcd = await startEtcd({ releases: [release] })));
  after(() => etcd[Symbol.asyncDispose]());

  const openEtcd: OpenStorage = async (clock) => {
    await empty(etcd.urls[0]!);
    const { storage } = await openEtcdStorage({
      endpoints: { servers: etcd.urls, caPem: undefined, certificate: undefined, prefix: "/registry" },
      values: JSON_VALUES,
      clock,
      compactionIntervalMs: 0,
    });
    return { storage, [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose]() };
  };
  testStorage(`openEtcdStorage() on ${release}`, openEtcd, SHARED);
  testStorageModel(`openEtcdStorage() on ${release}`, openEtcd, 10, 1);
}
