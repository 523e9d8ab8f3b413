import assert from "node:assert/strict";
import { test } from "node:test";
import { CERTIFIED_KEY, DSA_KEY, HASHED_NAMES, SMALL_RSA_KEY, SSH_VECTORS } from "../../tests/support/ssh_vectors.ts";
import { isHashOf, isKnownHosts, parseKnownHosts } from "./known_hosts.ts";

const [ED25519 = "", P256 = "", P384 = ""] = SSH_VECTORS.map(({ type, publicKey }) => `${type} ${publicKey}`);
const [FIRST = "", SECOND = "", THIRD = ""] = SSH_VECTORS.map(({ fingerprint }) => fingerprint);

test("parseKnownHosts() reads names, addresses and keys between comments and blanks", () => {
  const read = parseKnownHosts(
    [
      "# written by ssh-keyscan",
      `n1,n1.lan,10.0.0.1,2001:DB8:0::1 ${ED25519} root@n1 # 2026`,
      "",
      `\tn1\t${P256.replace(" ", " \t")}\r`,
      `n2 ${P384}`,
    ].join("\n"),
  );
  assert.deepEqual(read, {
    ok: true,
    value: {
      hosts: [
        { line: 2, names: ["n1", "n1.lan", "10.0.0.1", "2001:db8::1"], fingerprint: FIRST },
        { line: 4, names: ["n1"], fingerprint: SECOND },
        { line: 5, names: ["n2"], fingerprint: THIRD },
      ],
      hashedHosts: [],
    },
  });
});

test("parseKnownHosts() reads hashed names, which match only the name", () => {
  const read = parseKnownHosts(`${HASHED_NAMES.n1} ${ED25519}\n${HASHED_NAMES.n2} ${P256}\n`);
  assert.ok(read.ok && read.value.hosts.length === 0);
  const [first, second] = read.value.hashedHosts;
  assert.ok(first !== undefined && second !== undefined);
  assert.deepEqual([first.fingerprint, second.fingerprint], [FIRST, SECOND]);
  assert.deepEqual(["n1", "n2", "N1", ""].map((name) => isHashOf(first, name)), [true, false, false, false]);
  assert.deepEqual(["n1", "n2"].map((name) => isHashOf(second, name)), [false, true]);
});

test("parseKnownHosts() omits a revoked key, regardless of its place and type", () => {
  const read = parseKnownHosts(
    [
      `n1 ${ED25519}`,
      `${HASHED_NAMES.n2} ${ED25519}`,
      `n1 ${P256}`,
      `@revoked * ${ED25519}`,
      `@revoked [n9]:2222,!n8 ssh-dss ${DSA_KEY}`,
    ].join("\n"),
  );
  assert.deepEqual(read, {
    ok: true,
    value: { hosts: [{ line: 3, names: ["n1"], fingerprint: SECOND }], hashedHosts: [] },
  });
});

test("parseKnownHosts() lists every fault with its line", () => {
  const lines: readonly (readonly [line: string, fault: string])[] = [
    [`@cert-authority *.lan ${ED25519}`, "@cert-authority is not supported; list the host keys themselves"],
    [`@revokd n1 ${ED25519}`, "@revokd is not supported; list the host keys themselves"],
    [`*.lan ${ED25519}`, '"*.lan" is a wildcard; list each machine by its name'],
    [`n1,n? ${ED25519}`, '"n?" is a wildcard; list each machine by its name'],
    [`n1,!n2 ${ED25519}`, '"!n2" excludes machines; list each machine by its name'],
    [`[n1]:2222 ${ED25519}`, '"[n1]:2222" has a port; write the name alone'],
    [`n1,[10.0.0.1]:22 ${ED25519}`, '"[10.0.0.1]:22" has a port; write the name alone'],
    [`N1 ${ED25519}`, 'the first name must be that of a node: write "N1" as "n1"'],
    [`n1,N1.lan ${ED25519}`, '"N1.lan" is not in lower case'],
    [`|1|AAAA|AAAA ${ED25519}`, '"|1|AAAA|AAAA" is not a hashed name; want |1|SALT|HASH, as ssh-keygen -H writes it'],
    [
      `${HASHED_NAMES.n1.replace("|1|", "|2|")} ${ED25519}`,
      `"${HASHED_NAMES.n1.replace("|1|", "|2|")}" is not a hashed name; want |1|SALT|HASH, as ssh-keygen -H writes it`,
    ],
    ["n1 ssh-ed25519 AAAA=", "the key is not valid base64"],
    ["n1 ssh-ed25519", "the bytes end too early"],
    ["@revoked * ssh-ed25519 !", "the key is not valid base64"],
    [`n1 ssh-rsa ${SMALL_RSA_KEY}`, "an RSA key has 1024 bits: want 2048 to 8192"],
    [`n1 ${ED25519.replace("ssh-ed25519", "ssh-rsa")}`, 'the key is of type ssh-ed25519, not "ssh-rsa"'],
  ];
  const read = parseKnownHosts(lines.map(([line]) => `${line}\n`).join(""));
  assert.deepEqual(read, { ok: false, error: lines.map(([, fault], index) => `line ${index + 1}: ${fault}`) });
});

for (const type of ["ssh-dss", "sk-ssh-ed25519@openssh.com"]) {
  test(`parseKnownHosts() refuses a key of ${type}`, () => {
    const read = parseKnownHosts(`n1 ${type} ${type === "ssh-dss" ? DSA_KEY : CERTIFIED_KEY}`);
    assert.ok(!read.ok);
    assert.match(read.error.join("\n"), /^line 1: keys of type ".+" are not supported; want one of ssh-ed25519, /);
  });
}

test("parseKnownHosts() refuses the address of a machine as the name of a node, unless it can be one", () => {
  const read = parseKnownHosts(`2001:db8::1 ${ED25519}\n10.0.0.1 ${P256}\n`);
  assert.ok(!read.ok && read.error.length === 1);
  assert.match(
    read.error[0] ?? "",
    /^line 1: the first name must be that of a node: invalid node name "2001:db8::1": /,
  );
});

for (
  const { text, want } of [
    { text: `n1 ${ED25519}`, want: true },
    { text: `# a comment: kind\n\n  ${HASHED_NAMES.n1} ${P256}\nkind: Inventory\n`, want: true },
    { text: "@cert-authority * ssh-rsa AAAA", want: true },
    { text: "n1 sk-ssh-ed25519@openssh.com AAAA", want: true },
    { text: "apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes: []\n", want: false },
    { text: `apiVersion: tlsboot/v1alpha1\n# n1 ${ED25519}\n`, want: false },
    { text: "{kind: Inventory, apiVersion: tlsboot/v1alpha1, nodes: []}", want: false },
    { text: "n1 n2 n3", want: false },
    { text: "# nothing\n", want: false },
    { text: "", want: false },
  ]
) {
  test(`isKnownHosts() finds ${want} for ${JSON.stringify(text.slice(0, 40))}`, () =>
    assert.equal(isKnownHosts(text), want));
}
