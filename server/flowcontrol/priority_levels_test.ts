import assert from "node:assert/strict";
import { test } from "node:test";
import type { UserInfo } from "../../core/kube/user.ts";
import { parseRequestInfo } from "../http/request_info.ts";
import { findPlace } from "./priority_levels.ts";

const LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const NODE = ["system:node:a", "system:nodes"] as const;
const SIGNER = ["system:serviceaccount:kube-system:signer", "system:serviceaccounts"] as const;

for (
  const { user: [username, ...groups], method = "GET", path, want } of [
    { user: ["root", "system:masters"], path: CSRS, want: undefined },
    { user: ["system:anonymous", "system:unauthenticated"], path: "/livez", want: undefined },
    { user: ["system:anonymous"], path: "/livez/ping", want: "global-default global-default/system:anonymous" },
    {
      user: ["system:anonymous"],
      method: "POST",
      path: "/livez",
      want: "global-default global-default/system:anonymous",
    },
    { user: NODE, method: "PUT", path: `${LEASES}/a`, want: "node-high system-node-high/system:node:a" },
    { user: NODE, method: "PATCH", path: "/api/v1/nodes/a/status", want: "node-high system-node-high/system:node:a" },
    { user: NODE, method: "POST", path: CSRS, want: "system system-nodes/system:node:a" },
    { user: NODE, path: "/version", want: "system system-nodes/system:node:a" },
    { user: SIGNER, method: "PUT", path: `${LEASES}/a`, want: `leader-election system-leader-election/${SIGNER[0]}` },
    { user: SIGNER, path: LEASES, want: "workload-high kube-system-service-accounts/kube-system" },
    { user: SIGNER, path: CSRS, want: "workload-high kube-system-service-accounts/" },
    { user: ["system:kube-controller-manager"], path: CSRS, want: "workload-high kube-controller-manager/" },
    {
      user: ["system:serviceaccount:a:b", "system:serviceaccounts"],
      path: CSRS,
      want: "workload-low service-accounts/system:serviceaccount:a:b",
    },
    {
      user: ["system:bootstrap:abcdef", "system:bootstrappers"],
      method: "POST",
      path: CSRS,
      want: "global-default global-default/system:bootstrap:abcdef",
    },
  ] as readonly { user: readonly [string, ...string[]]; method?: string; path: string; want: string | undefined }[]
) {
  test(`findPlace() puts ${method} ${path} of ${username} at ${want?.split(" ")[0] ?? "no level"}`, () => {
    const user: UserInfo = { username, uid: "", groups, extra: {} };
    const place = findPlace(user, parseRequestInfo(method, path, new URLSearchParams()));
    assert.equal(place === undefined ? undefined : `${place.level} ${place.flow}`, want);
  });
}
