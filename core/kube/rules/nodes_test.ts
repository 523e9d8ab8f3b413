import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lease, LeaseSpec } from "../kinds/nodes.ts";
import { formatFieldError, selectReportedErrors } from "../status/field_error.ts";
import {
  type CsiDriverShape,
  defaultNode,
  getWarningsForCidr,
  getWarningsForNode,
  networkFamily,
  type NodeShape,
  prepareLeaseForCreate,
  prepareLeaseForUpdate,
  validateAmount,
  validateCidr,
  validateCsiNodeCreate,
  validateCsiNodeUpdate,
  validateLease,
  validateNodeCreate,
  validateNodeStatusUpdate,
  validateNodeUpdate,
  withoutConfigStatus,
  withoutDisabledSpec,
} from "./nodes.ts";

const lease = (spec: LeaseSpec): Lease => ({ metadata: { name: "l", namespace: "n" }, spec });

test("validateLease() refuses numbers out of range", () => {
  assert.deepEqual(validateLease(lease({ leaseDurationSeconds: 15, leaseTransitions: 0 })), []);
  assert.deepEqual(
    validateLease(lease({ leaseDurationSeconds: 0, leaseTransitions: -1 })).map(formatFieldError),
    [
      "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
      "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
    ],
  );
});

test("prepareLeaseForCreate() and prepareLeaseForUpdate() drop the fields of coordinated leader election unless they are stored", () => {
  const sent = lease({ holderIdentity: "h", strategy: "OldestEmulationVersion", preferredHolder: "p" });
  assert.deepEqual(prepareLeaseForCreate(sent), lease({ holderIdentity: "h" }));
  assert.deepEqual(prepareLeaseForUpdate(sent, lease({})), lease({ holderIdentity: "h" }));
  assert.deepEqual(
    prepareLeaseForUpdate(sent, lease({ strategy: "x" })),
    lease({ holderIdentity: "h", strategy: "OldestEmulationVersion" }),
  );
});

const node = (spec: NodeShape["spec"], status: NodeShape["status"] = {}): NodeShape => ({
  metadata: { name: "n" },
  spec,
  status,
});

test("defaultNode() copies the capacity to allocatable", () => {
  assert.deepEqual(defaultNode(node({}, { capacity: { cpu: "2" } })).status, {
    capacity: { cpu: "2" },
    allocatable: { cpu: "2" },
  });
  assert.deepEqual(defaultNode(node({}, { capacity: { cpu: "2" }, allocatable: {} })).status.allocatable, {});
});

for (
  const { name, stored, changed, want } of [
    { name: "nothing", stored: node({}), changed: node({}), want: [] },
    { name: "a first podCIDR", stored: node({}), changed: node({ podCIDRs: ["10.0.0.0/24"] }), want: [] },
    {
      name: "a podCIDR",
      stored: node({ podCIDRs: ["10.0.0.0/24", "fd00::/64"] }),
      changed: node({ podCIDRs: ["10.0.0.0/24", "fd01::/64"] }),
      want: ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'],
    },
    {
      name: "a podCIDR to none",
      stored: node({ podCIDRs: ["10.0.0.0/24"] }),
      changed: node({}),
      want: ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'],
    },
    {
      name: "the provider id",
      stored: node({ providerID: "a" }),
      changed: node({ providerID: "b" }),
      want: ["spec.providerID: Invalid value: null: field cannot be modified once set"],
    },
    {
      name: "the provider id to none",
      stored: node({ providerID: "a" }),
      changed: node({}),
      want: ["spec.providerID: Invalid value: null: field cannot be cleared once set"],
    },
    {
      name: "the former id",
      stored: node({}),
      changed: node({ externalID: "a" }),
      want: ["spec.externalID: Forbidden: may not be updated"],
    },
    {
      name: "amounts",
      stored: node({}),
      changed: node({}, {
        capacity: { cpu: "-1", memory: "1.5Gi" },
        allocatable: { pods: "1500m", "example.com/a": "1" },
      }),
      want: [
        'status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0',
        'status.allocatable.pods: Invalid value: "1500m": must be an integer',
      ],
    },
    {
      name: "an address twice",
      stored: node({}),
      changed: node({}, {
        addresses: [{ type: "InternalIP", address: "1" }, { type: "Hostname", address: "1" }, {
          type: "InternalIP",
          address: "1",
        }],
      }),
      want: ['status.addresses[2]: Duplicate value: {"Type":"InternalIP","Address":"1"}'],
    },
  ]
) {
  test(`validateNodeUpdate() and validateNodeStatusUpdate() report ${want.length} faults for changing ${name}`, () => {
    assert.deepEqual(selectReportedErrors(validateNodeUpdate(changed, stored)).map(formatFieldError), want);
    assert.deepEqual(validateNodeStatusUpdate(changed, stored).map(formatFieldError), want);
  });
}

test("validateNodeUpdate() lists the faults of a new node first", () => {
  const stored = node({ podCIDRs: ["10.0.0.0/24"] });
  const changed = node({ podCIDRs: ["10.0.0.0/33"], taints: [{ key: "k", effect: "" }] });
  assert.deepEqual(selectReportedErrors(validateNodeUpdate(changed, stored)).map(formatFieldError), [
    "metadata.taints[0].effect: Required value",
    'spec.podCIDRs[0]: Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
    'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
  ]);
});

for (
  const { podCIDRs, want } of [
    { podCIDRs: ["10.0.0.0/24", "fd00::/64"], want: [] },
    {
      podCIDRs: ["10.0.0.0/24", "10.1.0.0/24"],
      want: [
        'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.1.0.0/24"]: may specify no more than one CIDR for each IP family',
      ],
    },
    {
      podCIDRs: ["10.0.0.0/24", "x"],
      want: [
        'spec.podCIDRs[1]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
        "spec.podCIDRs: Internal error: invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[1]: " +
        "<nil> (invalid CIDR address: x)",
        'spec.podCIDRs: Invalid value: ["10.0.0.0/24","x"]: may specify no more than one CIDR for each IP family',
      ],
    },
  ]
) {
  test(`validateNodeCreate() reports ${want.length} faults for the networks ${podCIDRs.join(" and ")}`, () => {
    assert.deepEqual(validateNodeCreate(node({ podCIDRs })).map(formatFieldError), want);
  });
}

test("getWarningsForNode() reports the former id and networks that are not canonical", () => {
  assert.deepEqual(getWarningsForNode(node({ externalID: "a", podCIDRs: ["10.0.0.0/24", "FD00::/64"] })), [
    "spec.externalID: this field is deprecated, and is unused by Kubernetes",
    'spec.podCIDRs[1]: IPv6 CIDR value "FD00::/64" should be in RFC 5952 canonical format ("fd00::/64")',
  ]);
});

test("withoutDisabledSpec() and withoutConfigStatus() keep the rest", () => {
  const sent = node({ configSource: {}, podPreemptionPolicy: {}, podCIDR: "a" });
  assert.deepEqual(withoutDisabledSpec(sent), node({ podCIDR: "a" }));
  assert.deepEqual(withoutConfigStatus(node({}, { config: {}, addresses: [] })), node({}, { addresses: [] }));
});

for (
  const { features, want } of [
    { features: ["A", "A/b", "A/bC1"], want: [] },
    { features: ["A", "A"], want: ['status.declaredFeatures[1]: Duplicate value: "A"'] },
    {
      features: ["B", "A"],
      want: ['status.declaredFeatures[1]: Invalid value: "A": list must be sorted alphabetically'],
    },
    {
      features: ["A/1"],
      want: [
        'status.declaredFeatures[0]: Invalid value: "A/1": invalid feature name "A/1": must start with an UpperCamelCase ' +
        "segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only " +
        "alphanumeric characters and slashes",
      ],
    },
    {
      features: ["A".repeat(254)],
      want: [
        `status.declaredFeatures[0]: Invalid value: "${"A".repeat(254)}": invalid feature name "${
          "A".repeat(254)
        }": must ` +
        "be no more than 253 characters",
      ],
    },
  ]
) {
  test(`validateNodeCreate() reports ${want.length} faults for the features ${features.join(", ").slice(0, 20)}`, () => {
    const sent = node({}, { declaredFeatures: features });
    assert.deepEqual(validateNodeCreate(sent).map(formatFieldError), want);
    assert.deepEqual(validateNodeUpdate(sent, node({})).map(formatFieldError), [...want, ...want]);
  });
}

test("validateNodeCreate() checks the swap space", () => {
  const sent = node({}, { nodeInfo: { swap: { capacity: 0 } } });
  assert.deepEqual(validateNodeCreate(sent).map(formatFieldError), [
    "metadata.nodeSwapStatus.capacity: Invalid value: 0: must be greater than zero",
  ]);
});

test("validateNodeCreate() checks taints", () => {
  const taints = [
    { key: "k", effect: "NoSchedule" },
    { key: "k", effect: "NoSchedule" },
    { key: "k", effect: "Never" },
    { key: "k", effect: "" },
  ];
  assert.deepEqual(validateNodeCreate(node({ taints })).map(formatFieldError), [
    'metadata.taints[1]: Duplicate value: {"Key":"k","Value":"","Effect":"NoSchedule","TimeAdded":null}: taints must ' +
    "be unique by key and effect pair",
    'metadata.taints[2].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", ' +
    '"NoExecute"',
    "metadata.taints[3].effect: Required value",
  ]);
});

const csiNode = (...drivers: CsiDriverShape[]) => ({ metadata: { name: "n" }, spec: { drivers } });

test("validateCsiNodeCreate() checks every driver", () => {
  assert.deepEqual(validateCsiNodeCreate(csiNode({ name: "a.b", nodeID: "n", topologyKeys: null })), []);
  assert.deepEqual(
    validateCsiNodeCreate(csiNode(
      { name: "a", nodeID: "", topologyKeys: ["k", "k"], allocatable: { count: -1 } },
      { name: "a", nodeID: "i".repeat(257) },
      { name: "", nodeID: "n" },
    )).map(formatFieldError),
    [
      "spec.drivers[0].nodeID: Required value",
      "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
      'spec.drivers[0]: Duplicate value: "k"',
      `spec.drivers[1].nodeID: Invalid value: "${"i".repeat(257)}": must be 256 characters or less`,
      'spec.drivers[1].name: Duplicate value: "a"',
      "spec.drivers[2].name: Required value",
    ],
  );
});

test("validateCsiNodeUpdate() lets a driver change its count only", () => {
  const stored = csiNode({ name: "a", nodeID: "n", topologyKeys: ["k"] });
  assert.deepEqual(
    validateCsiNodeUpdate(csiNode({ name: "a", nodeID: "n", topologyKeys: ["k"], allocatable: { count: 1 } }), stored),
    [],
  );
  assert.deepEqual(validateCsiNodeUpdate(csiNode({ name: "b", nodeID: "m" }), stored), []);
  assert.deepEqual(validateCsiNodeUpdate(csiNode({ name: "a", nodeID: "m" }), stored).map(formatFieldError), [
    'spec.drivers: Invalid value: {"Name":"a","NodeID":"m","TopologyKeys":null,"Allocatable":null}: field is immutable',
  ]);
});

test("validateNodeCreate() requires valid networks, at most one of each family", () => {
  const faults = (...podCIDRs: string[]) =>
    validateNodeCreate({ metadata: {}, spec: { podCIDRs }, status: {} }).map(({ field }) => field);
  assert.deepEqual(faults("10.0.0.0/24", "fd00::/64"), []);
  assert.deepEqual(faults("10.0.0.0/99"), ["spec.podCIDRs[0]"]);
  assert.deepEqual(faults("10.0.0.0/24", "10.0.1.0/24"), ["spec.podCIDRs"]);
});

const NEGATIVE = "must be greater than or equal to 0";
const NOT_WHOLE = "must be an integer";

for (
  const { name, amount, want } of [
    { name: "cpu", amount: "500m", want: [] },
    { name: "cpu", amount: "0", want: [] },
    { name: "cpu", amount: "-1m", want: [NEGATIVE] },
    { name: "pods", amount: "110", want: [] },
    { name: "pods", amount: "1k", want: [] },
    { name: "pods", amount: "-500m", want: [NEGATIVE, NOT_WHOLE] },
    // Thousandths are rounded up before they are checked.
    { name: "pods", amount: "999999999n", want: [] },
    { name: "services.nodeports", amount: "100u", want: [NOT_WHOLE] },
    { name: "example.com/gpu", amount: "1500m", want: [NOT_WHOLE] },
    { name: "x.kubernetes.io/gpu", amount: "1500m", want: [] },
    { name: "requests.example.com/gpu", amount: "1500m", want: [] },
    { name: "example.com/a b", amount: "1500m", want: [] },
  ]
) {
  test(`validateAmount() of ${amount} ${name} reports ${want.join(" and ") || "nothing"}`, () => {
    const texts = want.map((detail) => `at: Invalid value: "${amount}": ${detail}`);
    assert.deepEqual(validateAmount("at", name, amount).map(formatFieldError), texts);
  });
}

const NONE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const ZEROS = "must not have leading 0s in IP or prefix length";

for (
  const { value, family, fault } of [
    { value: "10.0.0.0/8", family: 4, fault: undefined },
    { value: "0.0.0.0/0", family: 4, fault: undefined },
    { value: "2001:0db8::/32", family: 6, fault: undefined },
    { value: "10.0.0.0", family: undefined, fault: NONE },
    { value: "10.0.0.0/33", family: undefined, fault: NONE },
    { value: "fd00::/129", family: undefined, fault: NONE },
    { value: "fe80::%eth0/64", family: undefined, fault: NONE },
    { value: "10.0.0.0/8/8", family: undefined, fault: NONE },
    { value: "", family: undefined, fault: NONE },
    { value: "010.0.0.0/8", family: 4, fault: ZEROS },
    { value: "10.0.0.0/08", family: 4, fault: ZEROS },
    { value: "::ffff:10.0.0.0/120", family: 4, fault: "must not have an IPv4-mapped IPv6 address" },
    { value: "10.0.0.1/8", family: 4, fault: "must not have bits set beyond the prefix length" },
    { value: "fd00::1/64", family: 6, fault: "must not have bits set beyond the prefix length" },
  ] as const
) {
  test(`validateCidr() of ${JSON.stringify(value)} reports ${fault ?? "nothing"}`, () => {
    const want = fault === undefined ? [] : [`at: Invalid value: ${JSON.stringify(value)}: ${fault}`];
    assert.deepEqual(validateCidr("at", value).map(formatFieldError), want);
    assert.equal(networkFamily(value), family);
  });
}

test("getWarningsForCidr() reports IPv6 that is not in canonical form", () => {
  assert.deepEqual(getWarningsForCidr("at", "fd00::/64"), []);
  assert.deepEqual(getWarningsForCidr("at", "10.0.0.0/8"), []);
  assert.deepEqual(getWarningsForCidr("at", "FD00:0::/64"), [
    'at: IPv6 CIDR value "FD00:0::/64" should be in RFC 5952 canonical format ("fd00::/64")',
  ]);
});
