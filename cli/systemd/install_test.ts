import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkServiceHost,
  describeServiceStep,
  findDataFolders,
  type FoundService,
  planInstallation,
  planRemoval,
  unitPath,
  type WantedService,
} from "./install.ts";

const UNIT = "tlsboot.service";
const PATH = unitPath(UNIT);
const SETTINGS = "/etc/tlsboot/up.yaml";
const TEXT = "# Written by tlsboot up --install-service.\n[Unit]\nDescription=server\n";

const SERVICE: WantedService = {
  unit: UNIT,
  text: TEXT,
  files: [{ path: SETTINGS, text: "securePort: 1\n", mode: 0o644 }],
  user: 'u tlsboot - "Kubernetes TLS bootstrapping" /var/lib/tlsboot',
};
const ENABLE = ["run systemctl daemon-reload", `run systemctl enable ${UNIT}`];
const START = `run systemctl start --no-block ${UNIT}`;

const foundService = (
  texts: Readonly<Record<string, string>>,
  others: Partial<FoundService> = {},
): FoundService => ({
  hasUser: true,
  isEnabled: true,
  state: "active",
  ...others,
  texts: new Map(Object.entries(texts)),
});

const NOTHING = foundService({}, { hasUser: false, isEnabled: false, state: "inactive" });
const INSTALLED = { [SETTINGS]: "securePort: 1\n", [PATH]: TEXT };

for (
  const { name, found, want } of [
    {
      name: "everything on a new machine, the unit as the first file",
      found: NOTHING,
      want: [
        `run systemd-sysusers --inline 'u tlsboot - "Kubernetes TLS bootstrapping" /var/lib/tlsboot'`,
        `write ${PATH}`,
        `write ${SETTINGS}`,
        ...ENABLE,
        START,
      ],
    },
    { name: "nothing when all is there and runs", found: foundService(INSTALLED), want: [] },
    {
      name: "only the settings when they differ, and a restart",
      found: foundService({ ...INSTALLED, [SETTINGS]: "securePort: 2\n" }),
      want: [`change ${SETTINGS}`, ...ENABLE, `run systemctl stop ${UNIT}`, START],
    },
    {
      name: "what an interrupted installation has left out",
      found: foundService(INSTALLED, { isEnabled: false, state: "inactive" }),
      want: [...ENABLE, START],
    },
    {
      name: "a new start of a service that has failed",
      found: foundService(INSTALLED, { state: "failed" }),
      want: [...ENABLE, `run systemctl stop ${UNIT}`, START],
    },
  ]
) {
  test(`planInstallation() plans ${name}`, () => {
    const plan = planInstallation(SERVICE, found);
    assert.ok(plan.ok);
    assert.deepEqual(plan.value.map((step) => describeServiceStep(step, found)), want);
  });
}

for (
  const { name, texts, want } of [
    {
      name: "the unit of a package",
      texts: { [`/usr/lib/systemd/system/${UNIT}`]: TEXT },
      want:
        /^tlsboot\.service belongs to a package: .*change \/etc\/tlsboot\/up\.yaml, then run: sudo systemctl enable/,
    },
    {
      name: "a unit that someone else has written",
      texts: { [PATH]: "[Unit]\nDescription=server\n" },
      want: /^"\/etc\/systemd\/system\/tlsboot\.service" was not written by tlsboot .*with systemctl/,
    },
  ]
) {
  for (const [what, plan] of [["installation", planInstallation], ["removal", planRemoval]] as const) {
    test(`the plan of the ${what} refuses ${name}`, () => {
      const planned = plan(SERVICE, foundService(texts));
      assert.ok(!planned.ok);
      assert.match(`${planned.error.message} ${planned.error.hint}`, want);
    });
  }
}

test("planInstallation() refuses to replace the service of another machine", () => {
  const planned = planInstallation(SERVICE, foundService({ [PATH]: TEXT.replace("server", "node n2") }));
  assert.ok(!planned.ok);
  assert.match(planned.error.message, /^tlsboot\.service exists for something else: node n2$/);
});

test("planRemoval() stops the service, removes its files and then the unit, and plans nothing without a unit", () => {
  const found = foundService(INSTALLED);
  const plan = planRemoval(SERVICE, found);
  assert.ok(plan.ok);
  assert.deepEqual(plan.value.map((step) => describeServiceStep(step, found)), [
    `run systemctl disable --now ${UNIT}`,
    `remove ${SETTINGS}`,
    `remove ${PATH}`,
    "run systemctl daemon-reload",
  ]);
  assert.deepEqual(planRemoval(SERVICE, foundService({ [SETTINGS]: "" })), { ok: true, value: [] });
});

test("planRemoval() removes every file of an installation that was cut off", () => {
  const plan = planInstallation(SERVICE, NOTHING);
  assert.ok(plan.ok);
  const texts = new Map<string, string>();
  for (const step of plan.value) {
    if (step.kind === "write") texts.set(step.file.path, step.file.text);
    const removal = planRemoval(SERVICE, { ...NOTHING, texts });
    assert.ok(removal.ok);
    const removed = removal.value.flatMap((one) => one.kind === "remove" ? [one.path] : []);
    assert.deepEqual(removed.sort(), [...texts.keys()].sort());
  }
});

test("findDataFolders() finds the folders of both kinds of units", () => {
  assert.equal(findDataFolders("User=tlsboot\nStateDirectory=tlsboot\n"), "/var/lib/tlsboot");
  assert.equal(findDataFolders('ReadWritePaths=-/etc/nas "-/srv/a-b c"\n'), '/etc/nas "/srv/a-b c"');
});

for (
  const { name, host, want } of [
    { name: "a system without systemd", host: { hasSystemd: false, isRoot: true }, want: /does not run systemd/ },
    { name: "a user other than root", host: { hasSystemd: true, isRoot: false }, want: /^.* run: sudo tlsboot up$/ },
    { name: "root on a system with systemd", host: { hasSystemd: true, isRoot: true }, want: undefined },
  ]
) {
  test(`checkServiceHost() ${want === undefined ? "accepts" : "refuses"} ${name}`, () => {
    const refusal = checkServiceHost(host, "tlsboot up");
    if (want === undefined) assert.equal(refusal, undefined);
    else assert.match(`${refusal?.message} ${refusal?.hint}`, want);
  });
}
