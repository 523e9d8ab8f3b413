import assert from "node:assert/strict";
import { test } from "node:test";
import { CA_KEY_FLAGS } from "../flags/common.ts";
import { POLICY_FLAGS } from "../flags/controller.ts";
import { checkSandbox, findHiddenPath, findUnitName } from "./sandbox.ts";

/** Some mounts of tlsboot.service under systemd 252, in which the home of one user is visible. */
const MOUNTINFO = String.raw`100 90 0:40 / / ro,relatime - overlay overlay rw
101 100 0:25 /systemd/inaccessible/dir /home ro,nosuid,nodev,noexec - tmpfs tmpfs rw,mode=755
102 100 0:25 /systemd/inaccessible/dir /run/user ro,nosuid,nodev,noexec - tmpfs tmpfs rw,mode=755
103 100 0:41 /systemd-private-0123-tlsboot.service-abc/tmp /tmp rw,nosuid,nodev shared:9 - tmpfs tmp rw
104 100 0:40 /var/tmp/systemd-private-0123-tlsboot.service-def/tmp /var/tmp rw - overlay overlay rw
105 100 0:40 /var/lib/tlsboot /var/lib/tlsboot rw - overlay overlay rw
106 100 0:25 /systemd/inaccessible/dir /srv/two\040words ro - tmpfs tmpfs rw,mode=755
107 101 0:40 /home/jane/data /home/jane/data rw - overlay overlay rw
108 100 0:25 /systemd/inaccessible/dir /opt ro - tmpfs tmpfs rw,mode=755
109 100 0:40 /opt /opt rw - overlay overlay rw
`;

for (
  const [path, want] of [
    ["/home/x", { folder: "/home", directive: "ProtectHome=" }],
    ["/home", { folder: "/home", directive: "ProtectHome=" }],
    ["/run/user/1000/token", { folder: "/run/user", directive: "ProtectHome=" }],
    ["/tmp/data", { folder: "/tmp", directive: "PrivateTmp=" }],
    ["/var/tmp/data", { folder: "/var/tmp", directive: "PrivateTmp=" }],
    ["/srv/two words/ca.crt", { folder: "/srv/two words", directive: "InaccessiblePaths=" }],
    ["/home/jane/data/pki", undefined],
    ["/homestead", undefined],
    ["/opt/ca.crt", undefined],
    ["/var/lib/tlsboot", undefined],
    ["/", undefined],
  ] as const
) {
  test(`findHiddenPath() finds what hides ${path}: ${want?.directive ?? "nothing"}`, () => {
    assert.deepEqual(findHiddenPath(path, MOUNTINFO), want);
  });
}

test("findHiddenPath() finds nothing where the system does not list its mounts", () => {
  assert.equal(findHiddenPath("/home/x", ""), undefined);
});

test("checkSandbox() refuses each path of a list that the unit hides, and no name of a policy", () => {
  const flags = { ...CA_KEY_FLAGS, ...POLICY_FLAGS };
  const origins = { caPassphraseFile: "--ca-passphrase-file" };
  const check = (settings: Readonly<Record<string, unknown>>): void =>
    checkSandbox({ flags, settings, origins }, { env: { INVOCATION_ID: "1" }, cwd: "/tmp" }, () => MOUNTINFO);
  check({ caPassphraseFile: ["/var/lib/tlsboot/pass", "-"], policy: ["kubelet-serving"] });
  assert.throws(
    () => check({ caPassphraseFile: ["/var/lib/tlsboot/1", "/home/x/2"] }),
    /^UsageError: --ca-passphrase-file: .* hides \/home from its program .*, so it cannot use "\/home\/x\/2"$/,
  );
});

test("findUnitName() reads the unit from both versions of control groups", () => {
  assert.equal(findUnitName("0::/system.slice/tlsboot.service\n"), "tlsboot.service");
  const instance = "1:name=systemd:/system.slice/system-tlsboot.slice/tlsboot-signer@a.service\n0::/\n";
  assert.equal(findUnitName(instance), "tlsboot-signer@a.service");
  assert.equal(findUnitName("0::/user.slice/session-1.scope\n"), undefined);
});
