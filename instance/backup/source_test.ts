import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { encodeClusterInfo } from "../../core/token/cluster_info.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { assertOneInstance } from "./source.ts";

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
    test(`assertOneInstance() ${isRefused ? "refuses" : "takes"} ${name}`, () => {
      const check = () => assertOneInstance({ items: items(), caFile: caFile(), root: "/data" });
      if (isRefused) assert.throws(check, { code: "ca_invalid", message: /"\/data": the objects .* another CA/ });
      else check();
    });
  }
});
