import assert from "node:assert/strict";
import { test } from "node:test";
import type { UserInfo } from "../../core/kube/user.ts";
import { parseRequestInfo } from "../http/request_info.ts";
import { findPlace, hasFreeSeat, LEVEL_NAMES, type LevelName, planSeats } from "./priority_levels.ts";

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

const NO_SEATS_TAKEN = Object.fromEntries(LEVEL_NAMES.map((name) => [name, 0])) as Record<LevelName, number>;

test("planSeats() distributes 600 seats like kube-apiserver, except for its catch-all level", () => {
  assert.deepEqual(planSeats(600).of, {
    "leader-election": { nominal: 25, kept: 25 },
    "node-high": { nominal: 100, kept: 75 },
    "system": { nominal: 75, kept: 50 },
    "workload-high": { nominal: 100, kept: 50 },
    "workload-low": { nominal: 250, kept: 25 },
    "global-default": { nominal: 50, kept: 25 },
  });
});

test("hasFreeSeat() lends free seats, and keeps for each level the seats that it never lends", () => {
  const seats = planSeats(600);
  let flood = 0;
  while (hasFreeSeat(seats, { ...NO_SEATS_TAKEN, "global-default": flood }, "global-default")) flood++;
  assert.equal(flood, 600 - 25 - 75 - 50 - 50 - 25);
  for (const name of LEVEL_NAMES.filter((other) => other !== "global-default")) {
    assert.ok(hasFreeSeat(seats, { ...NO_SEATS_TAKEN, "global-default": flood }, name), name);
  }
});

test("hasFreeSeat() always keeps a seat for each level, even with a single seat", () => {
  const seats = planSeats(1);
  for (const name of LEVEL_NAMES) {
    assert.ok(hasFreeSeat(seats, { ...NO_SEATS_TAKEN, "global-default": 1 }, name) === (name !== "global-default"));
  }
});

test("hasFreeSeat() never exceeds the number of seats, in whatever order levels fill up", () => {
  const seats = planSeats(600);
  for (const first of LEVEL_NAMES) {
    const seated = { ...NO_SEATS_TAKEN };
    for (const name of [first, ...LEVEL_NAMES]) while (hasFreeSeat(seats, seated, name)) seated[name]++;
    assert.equal(Object.values(seated).reduce((sum, count) => sum + count, 0), 600, first);
    for (const name of LEVEL_NAMES) assert.ok(seated[name] >= seats.of[name].kept, name);
  }
});
