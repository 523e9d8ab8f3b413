import assert from "node:assert/strict";
import { test } from "node:test";
import { upCommand } from "./flags.ts";
import { SERVICE } from "./service_texts.ts";
import { formatFirewall, formatFirstMachine, formatLocal, formatProving, setSettings } from "./service.ts";
import { parseConfigFile } from "../../framework/config_file.ts";

const HEAD = "apiVersion: tlsboot/v1alpha1\nkind: Config\n";

for (
  const { name, text, wanted, want } of [
    { name: "adds a key", text: "v: 4", wanted: { securePort: ["7443"] }, want: "v: 4\nsecurePort: 7443\n" },
    { name: "keeps a key that has the value", text: "v: 4  # much\n", wanted: { v: ["4"] }, want: "v: 4  # much\n" },
    { name: "changes a key in its place", text: "v: 4\nui: true\n", wanted: { v: ["2"] }, want: "v: 2\nui: true\n" },
    {
      name: "replaces an example in a comment",
      text: "# About it.\n# bindAddress: 0.0.0.0\n",
      wanted: { bindAddress: ["::1"] },
      want: '# About it.\nbindAddress: "::1"\n',
    },
    {
      name: "prefers the key to the example",
      text: "# bindAddress: 0.0.0.0\nbindAddress: ::1\n",
      wanted: { bindAddress: ["127.0.0.1"] },
      want: '# bindAddress: 0.0.0.0\nbindAddress: "127.0.0.1"\n',
    },
    {
      name: "replaces a list of several lines",
      text: "webDomain:\n  - a.lan\n- b.lan\nv: 4\n",
      wanted: { webDomain: ["c.lan", "$&"] },
      want: 'webDomain: ["c.lan","$&"]\nv: 4\n',
    },
  ]
) {
  test(`setSettings() ${name}`, () => {
    const { raw } = parseConfigFile(`${HEAD}${text}`, "up.yaml", upCommand.flags);
    assert.equal(setSettings(text, wanted, raw), want);
  });
}

test("setSettings() edits the packaged file so that the server reads the new settings", () => {
  const wanted = { bindAddress: ["0.0.0.0"], securePort: ["6443"], webDomain: ["home.lan"], autoApprove: ["true"] };
  const text = setSettings(SERVICE["up.yaml"] ?? "", wanted, {});
  assert.deepEqual(parseConfigFile(text, "up.yaml", upCommand.flags), { raw: wanted, faults: [] });
});

test("formatFirewall() prints the command of the active firewall, or of the usual ones if none is active", () => {
  assert.equal(formatFirewall("6443", ["ufw"]), "Open its port in the firewall:\n  sudo ufw allow 6443/tcp\n");
  assert.match(formatFirewall("6443", []), /^If .*\n {2}sudo firewall-cmd .*6443.*\n {2}sudo ufw allow 6443\/tcp\n$/);
});

test("formatLocal() says how to open a server that only this machine can reach, where that is possible", () => {
  assert.match(formatLocal("127.0.0.1"), /--install-service --bind-address 0\.0\.0\.0\n$/);
  assert.match(formatLocal("0.0.0.0"), /--advertise-address\n$/);
});

for (
  const { isLocal, sharedToken, want } of [
    { isLocal: true, sharedToken: true, want: /bootstrap --bootstrap-kubeconfig \S+ \S.*--hostname-override n1\n$/ },
    { isLocal: true, sharedToken: false, want: /token create --node n1 --data-dir \S+\n$/ },
    { isLocal: false, sharedToken: true, want: /token create -o command --data-dir \S+\n$/ },
    { isLocal: false, sharedToken: false, want: /token create --node NAME -o command --data-dir \S+\n$/ },
  ]
) {
  const where = isLocal ? "the host of the server" : "another host";
  test(`formatFirstMachine() adds a machine on ${where}, with a shared token: ${sharedToken}`, () => {
    assert.match(formatFirstMachine(isLocal, sharedToken), want);
  });
}

test("formatProving() has a command for each kind of proof that the inventory lists", () => {
  const place = { inventory: "machines.yaml", url: "https://10.0.0.1:6443", pin: "sha256:0a" };
  const tpm =
    "  # on each machine that machines.yaml lists with its TPM, prove its identity and get its certificate\n" +
    "  sudo tlsboot bootstrap --attest tpm --server https://10.0.0.1:6443 --ca-cert-hash sha256:0a --rotate-certificates\n";
  assert.equal(formatProving(["tpm"], place), tpm);
  const both = formatProving(["tpm", "ssh"], place);
  assert.ok(both.startsWith(`${tpm}\n  # on each machine that machines.yaml lists with its SSH host key, `), both);
  assert.match(both, /\n {2}sudo tlsboot bootstrap --attest ssh --server \S+ --ca-cert-hash sha256:0a /);
});
