/** An etcd release with unreliable progress notifications, alone or as one member of three, is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { spawnTlsbootToEnd } from "../../support/child.ts";
import { createTempFolder } from "../../support/temp.ts";
import { type EtcdOptions, startEtcd } from "../../support/interop/etcd.ts";

const CLUSTERS: Readonly<Record<string, EtcdOptions>> = {
  "an etcd 3.5.12": { releases: ["etcd-3.5.12"] },
  "an etcd that is being upgraded, with one member of 3.5.12": {
    members: 3,
    releases: ["etcd-3.5", "etcd-3.5", "etcd-3.5.12"],
  },
};

for (const [name, options] of Object.entries(CLUSTERS)) {
  for (const command of ["up", "serve"]) {
    test(`${command} refuses ${name}, and prints the oldest supported version`, async () => {
      await using etcd = await startEtcd(options);
      await using folder = await createTempFolder();
      const { code, stderr } = await spawnTlsbootToEnd(
        [command, "--etcd-servers", etcd.urls.join(","), "--secure-port", "0", "--data-dir", folder.join("data")],
      );
      assert.equal(code, 1);
      assert.match(stderr, /error: cannot use etcd 3\.5\.12: 3\.5\.13 or later is needed\n/);
      assert.match(stderr, /hint: upgrade etcd/);
      const all = { key: btoa("\0"), range_end: btoa("\0"), count_only: true };
      const { count } = await etcd.members[0]!.call<{ readonly count?: string }>("kv/range", all);
      assert.equal(count, undefined, "etcd has keys");
    });
  }
}
