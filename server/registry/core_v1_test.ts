import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "../../core/kube/meta.ts";
import { createTestApp } from "../../tests/support/test_app.ts";
import { renderCell } from "./resource.ts";
import { createApiService } from "../bootstrap_objects.ts";
import { services } from "./core_v1.ts";

const NOW = new Date("2026-01-01T00:00:00Z");
const PATH = "/api/v1/namespaces/default/services";

// The cells are those of `printService` (pkg/printers/internalversion/printers.go).
for (
  const { name, spec, status = { loadBalancer: {} }, want } of [
    {
      name: "the API's own",
      spec: createApiService(6443).object,
      want: "ClusterIP|None|<none>|443/TCP|<none>",
    },
    {
      name: "ports at nodes, and addresses outside of the cluster",
      spec: {
        type: "NodePort",
        clusterIPs: ["10.0.0.2", "fd00::2"],
        externalIPs: ["192.0.2.1", "192.0.2.2"],
        ports: [{ port: 80, protocol: "TCP", nodePort: 30080 }, { port: 53, protocol: "UDP" }],
        selector: { b: "2", a: "1" },
      },
      want: "NodePort|10.0.0.2|192.0.2.1,192.0.2.2|80:30080/TCP,53/UDP|a=1,b=2",
    },
    {
      name: "a load balancer that is not ready yet",
      spec: { type: "LoadBalancer", clusterIPs: ["10.0.0.3"], ports: [{ port: 80, protocol: "TCP" }] },
      want: "LoadBalancer|10.0.0.3|<pending>|80/TCP|<none>",
    },
    {
      name: "a load balancer",
      spec: { type: "LoadBalancer", clusterIPs: ["10.0.0.3"], externalIPs: ["192.0.2.9"] },
      status: { loadBalancer: { ingress: [{ ip: "192.0.2.8" }, { hostname: "a.example" }, { ip: "192.0.2.7" }] } },
      want: "LoadBalancer|10.0.0.3|192.0.2.7,192.0.2.8,a.example,192.0.2.9|<none>|<none>",
    },
    {
      name: "an external name",
      spec: { type: "ExternalName", externalName: "db.example" },
      want: "ExternalName|<none>|db.example|<none>|<none>",
    },
  ]
) {
  test(`a service is shown with its type, addresses, ports and selector: ${name}`, () => {
    const object = "spec" in spec ? spec : { metadata: { name: "s" }, spec, status };
    const cells = services.columns.filter((column) => !["Name", "Age"].includes(column.name))
      .map((column) => renderCell(column, object as never, NOW));
    assert.equal(cells.join("|"), want);
  });
}

test("services are read-only, and discovery reports that", async () => {
  await using app = await createTestApp();
  const { text } = await app.send("GET", "/api/v1");
  const found = (JSON.parse(text).resources as readonly { readonly name: string; readonly verbs: unknown }[])
    .filter(({ name }) => name.startsWith("services"));
  assert.deepEqual(found.map(({ name, verbs }) => [name, verbs]), [["services", ["get", "list", "watch"]]]);
  assert.equal((await app.send("GET", `${PATH}/kubernetes`)).at("spec/clusterIP"), "None");
  const body = { apiVersion: "v1", kind: "Service", metadata: { name: "kubernetes" } };
  for (const [method, path] of [["POST", PATH], ["PUT", `${PATH}/kubernetes`], ["DELETE", `${PATH}/kubernetes`]]) {
    assert.equal((await app.send(method ?? "", path ?? "", { body })).code, 405, method);
  }
});

test("a service without a target port, of an older version, gets one, and others do not change", () => {
  const { object, plan } = createApiService(6443);
  const withTarget = (targetPort: number) =>
    ({ ...object, spec: { clusterIP: "10.0.0.1", ports: [{ port: 443, targetPort }] } }) as KubeObject;
  assert.deepEqual(plan(withTarget(0)), { kind: "update", object: withTarget(6443) });
  assert.deepEqual(plan(withTarget(8443)), { kind: "none" });
});
