/** Runs the commands of the guides unchanged, with stock kubectl, curl and openssl. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { ROOT } from "../../support/child.ts";
import { type Guide, parseGuide, readGuide, toScript } from "../../support/guide.ts";
import { startNotificationReceiver } from "../../support/notification_receiver.ts";
import { ensureDebianProgram, ensureNewOpenssl } from "../../support/peers/debian.ts";
import { createTempFolder, findServerPort } from "../../support/temp.ts";
import { createShell } from "../../support/interop/shell.ts";
import { startCertifiedSwtpm, startSwtpm } from "../../support/interop/swtpm.ts";

/** Runs the commands of a guide after those of `before`. `values` replace the placeholders that a reader fills in. */
async function runGuide(
  guide: Guide,
  { before = [], values = {}, files = new Map() }: {
    readonly before?: readonly string[];
    readonly values?: Readonly<Record<string, string>>;
    readonly files?: ReadonlyMap<string, string>;
  } = {},
): Promise<string> {
  await using folder = await createTempFolder();
  const shell = await createShell(folder);
  for (const [file, text] of [...files, ...guide.files]) await writeFile(folder.join("work", file), text);
  const port = await findServerPort();
  let script = toScript([...before, ...guide.blocks], port);
  for (const [from, to] of Object.entries({ "127.0.0.1:6443": `127.0.0.1:${port}`, ...values })) {
    script = script.replaceAll(from, to);
  }
  return await shell.succeed(script);
}

test("homelab: machines get their certificates with a token and the hash of the CA, once they are in the inventory", async () => {
  const guide = await readGuide("homelab");
  const verified = "finish_boot; openssl verify -CAfile lab/pki/ca.crt printer/pki/kubelet-client-current.pem";
  const out = await runGuide({ ...guide, blocks: [...guide.blocks, verified] }, {
    values: {
      "--cert-dir nas/pki & boot=$!": "--cert-dir nas/pki",
      "--bind-address 0.0.0.0 --advertise-address boot.home.arpa": "",
      "https://boot.home.arpa:6443": "https://127.0.0.1:$PORT",
      "abcdef.0123456789abcdef": "$(tlsboot token create --data-dir lab)",
      "sha256:1234…cdef": "$(tlsboot ca show --data-dir lab | grep -o 'sha256:[0-9a-f]*' | tail -1)",
    },
  });
  assert.match(out, /nas\/pki\/kubelet-client-current\.pem: OK/);
  assert.match(out, /Warning: +machine printer is not in the inventory/);
  assert.match(out, /printer\/pki\/kubelet-client-current\.pem: OK/);
});

test("browser: an approver opens the page by its link, approves a request there and sees the machine", async () => {
  const guide = await readGuide("browser");
  // curl stands in for a person on the page.
  const approve = [
    "url=$(grep -o 'http://127.0.0.1:[0-9]*' ui.log | head -1); link=$(grep -o 'http://.*/login?key=[^ ]*' ui.log)",
    "curl -sS --fail --location --cookie-jar jar --output first.html $link",
    "name=$(pending); curl -sS --fail --cookie jar --output request.html $url/requests/$name",
    `field() { grep -o "name=\\"$1\\" value=\\"[^\\"]*\\"" request.html | head -1 | cut -d'"' -f4; }`,
    'curl -sS --fail --cookie jar -H "Origin: $url" --output done.html $url/requests/$name/approve ' +
    "-d token=$(field token) -d uid=$(field uid) -d resourceVersion=$(field resourceVersion)",
    "finish_boot; curl -sS --fail --cookie jar $url/machines/n1 | grep -o 'Machine n1' | head -1",
    "curl -sS --fail --cookie jar $url/certificates/calendar | grep -o 'The next certificate to expire' | head -1",
    "openssl verify -CAfile tlsboot-data/pki/ca.crt n1/pki/kubelet-client-current.pem",
  ];
  const out = await runGuide({ ...guide, blocks: [...guide.blocks, approve.join("\n")] });
  assert.match(out, /Machine n1\nThe next certificate to expire\nn1\/pki\/kubelet-client-current\.pem: OK/);
});

test("leaked_ca_key: the old CA is refused at once, and a machine and a person get new certificates", async () => {
  const machine = "--kubeconfig n1/kubeconfig --cert-dir n1/pki";
  const out = await runGuide(await readGuide("leaked_ca_key"), {
    before: [
      "tlsboot up --auto-approve",
      `tlsboot bootstrap --bootstrap-kubeconfig tlsboot-data/bootstrap.kubeconfig --hostname-override n1 ${machine}`,
      "finish_boot",
      "tlsboot kubeconfig user alice; cp alice.kubeconfig thief.kubeconfig; cp tlsboot-data/pki/ca.crt old.crt",
    ],
    values: {
      "rm n1/kubeconfig": [
        "kubectl config set-cluster tlsboot --certificate-authority tlsboot-data/pki/ca.crt --embed-certs " +
        "--kubeconfig thief.kubeconfig",
        "if kubectl auth whoami --kubeconfig thief.kubeconfig 2> refused; then exit 1; fi; cat refused",
        "rm n1/kubeconfig",
      ].join("\n"),
      "tlsboot kubeconfig user alice --force": "finish_boot; tlsboot kubeconfig user alice --force",
      "tlsboot verify certificates": [
        "tlsboot verify certificates --ca-file old.crt --ca-file tlsboot-data/pki/ca.crt",
        "openssl verify -CAfile tlsboot-data/pki/ca.crt n1/pki/kubelet-client-current.pem",
        "for one in n1/kubeconfig alice.kubeconfig; do kubectl auth whoami --kubeconfig $one; done",
      ].join("\n"),
    },
  });
  assert.match(out, /must be logged in to the server/);
  assert.match(out, /n1\/pki\/kubelet-client-current\.pem: OK[^]*Username +system:node:n1\n[^]*Username +alice\n/);
});

test("ca_on_paper: a root whose key is split into shares signs two CAs of a server, and openssl decrypts the key and verifies their certificates", async () => {
  const [first, third] = [1, 3].map((number) => `shares/share-${number}-of-3.txt`);
  const passphrases = `--ca-passphrase-file ${first} --ca-passphrase-file ${third}`;
  const typed = "for n in 1 2; do sed '1,/BEGIN/d;/END/,$d' shares/share-$n-of-3.txt | tr '\\n' ' '; echo; done";
  const guide = await readGuide("ca_on_paper");
  const out = await runGuide({
    ...guide,
    blocks: [
      ...guide.blocks,
      `tlsboot ca shares combine --out root.pass ${first} ${third}`,
      "openssl pkey -in root/pki/ca.key -passin file:root.pass -noout && echo opened by openssl",
    ],
  }, {
    values: {
      // A reader types the shares on a terminal.
      "--data-dir root -\n": `--data-dir root - < <(${typed})\n`,
      "--out old.pass\n": `--out old.pass < <(${typed})\n`,
      "ca sign ": `ca sign ${passphrases} `,
      "shares split --data-dir root": `shares split --data-dir root ${passphrases}`,
      "--kubeconfig n1/kubeconfig --cert-dir n1/pki & boot=$!\n":
        "--kubeconfig n1/kubeconfig --cert-dir n1/pki & boot=$!\nfinish_boot\n",
    },
  });
  assert.equal(out.match(/^the shares open root\/pki\/ca\.key$/gm)?.length, 2);
  assert.equal(out.match(/^[0-9a-f]{64} {2}ca\.csr$/gm)?.length, 2);
  assert.match(out, /^ca\.crt: OK$/m);
  assert.match(out, /^n1\/pki\/kubelet-client-current\.pem: OK$/m);
  assert.match(out, /^next\.crt: OK$/m);
  assert.match(out, /both CAs are trusted/);
  assert.match(out, /^opened by openssl$/m);
});

test("expired_machine: a machine recovers with its expired certificate, and then with a token", async () => {
  const out = await runGuide(await readGuide("expired_machine"), {
    before: [
      "export LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1 FAKETIME_DONT_FAKE_MONOTONIC=1",
      'export FAKETIME_NO_CACHE=1 FAKETIME_TIMESTAMP_FILE="$PWD/clock"',
      "export TLSBOOT_EARLIEST_TIME=2000-01-01T00:00:00Z",
      "echo -430d > clock",
      "tlsboot up --data-dir tlsboot-data --auto-approve",
      "tlsboot bootstrap --bootstrap-kubeconfig tlsboot-data/bootstrap.kubeconfig --hostname-override n1 " +
      "--kubeconfig n1/kubeconfig --cert-dir n1/pki",
      "finish_boot",
      // No program may see an incomplete file.
      "echo +0 > now; mv now clock",
    ],
    values: {
      "openssl x509": "finish_boot; openssl x509",
      "token create --node n1": "token create --node n1 --server https://127.0.0.1:$PORT",
    },
  });
  assert.match(out, /certificate of n1 issued/);
  assert.match(out, /tlsboot bootstrap .*--token/);
});

test("broken_machine: doctor finds a key that others can read, its fix works, and a server has no findings", async () => {
  const out = await runGuide(await readGuide("broken_machine"), {
    before: [
      "tlsboot up --data-dir tlsboot-data --auto-approve",
      "tlsboot bootstrap --bootstrap-kubeconfig tlsboot-data/bootstrap.kubeconfig --hostname-override n1 " +
      "--kubeconfig n1/kubeconfig --cert-dir n1/pki",
      "finish_boot",
    ],
  });
  assert.match(out, /\n +fix: chmod 600 n1\/pki\/kubelet-client-current\.pem\n[^]*\nn1 is not well\nn1\/pki\n/);
  assert.match(out, /^tlsboot-data\n[^]*\n0 errors, 0 warnings, /m);
});

test("only_my_machines: each machine joins with its own file, a copy is refused, and a pack works for one key", async () => {
  const machine = (file: string, name: string) =>
    `tlsboot bootstrap --join ${file} --kubeconfig ${name}/kubeconfig --cert-dir ${name}/pki`;
  const joining = [
    `for n in n1 n2 n3; do ${
      machine("join/$n.kubeconfig", "$n")
    }; kubectl --kubeconfig $n/kubeconfig auth whoami; done`,
    `if ${machine("join/n2.kubeconfig", "copy")} 2> refused; then exit 1; fi; cat refused`,
  ];
  const pack = machine("n4.pack", "n4");
  const guide = await readGuide("only_my_machines");
  const out = await runGuide({
    ...guide,
    blocks: [...guide.blocks, `if ${machine("n4.pack", "thief")} 2> refused; then exit 1; fi; cat refused`],
  }, {
    values: {
      "--bind-address 0.0.0.0 --advertise-address boot.home.arpa": "",
      // The machines of the test run on the host of the server.
      "token create --data-dir lab": "token create --data-dir lab --server https://127.0.0.1:$PORT",
      "token create --node n4": "token create --node n4 --server https://127.0.0.1:$PORT",
      "tlsboot bootstrap --join n1.kubeconfig & boot=$!": joining.join("\n"),
      [`${pack} & boot=$!`]: `${pack}; kubectl --kubeconfig n4/kubeconfig auth whoami`,
    },
  });
  for (const node of ["n1", "n2", "n3", "n4"]) assert.match(out, new RegExp(`Username +system:node:${node}\n`));
  assert.equal(out.match(/ node +n\d +<anywhere> +used 1\/1 /g)?.length, 6);
  assert.match(out, /the token is wrong, has expired or is used up/);
  assert.match(
    out,
    /Warning +BootstrapTokenRefused +secret\/bootstrap-token-\w{6} +An attempt from 127\.0\.0\.1 to use/,
  );
});

test("join_by_proof: machines and a kubelet join with TPMs and host keys, and a revoked machine only after unrevoke", async () => {
  await using tpm = await startSwtpm();
  await using foreign = await startSwtpm();
  await using certified = await startCertifiedSwtpm("n4");
  const events = "kubectl --kubeconfig lab/admin.kubeconfig get events --field-selector reason=NodeAttestationRefused";
  const network = "--bind-address 0.0.0.0 --advertise-address boot.home.arpa";
  const server = "--server https://boot.home.arpa:6443 --ca-cert-hash sha256:1234…cdef";
  const refuse = (command: string) => `if ${command} 2> refused; then exit 1; fi; cat refused`;
  const proveN1 = `prove tpm ${tpm.path} n1 n1`;
  const guide = await readGuide("join_by_proof");
  const added = [
    `${proveN1}; whoami n1/kubeconfig`,
    "printf 'endorsementAuthorities:\\n  - nodeName: commonName\\n    certificates: |\\n' >> machines.yaml",
    "sed 's/^/      /' authority.pem >> machines.yaml",
    `eventually "prove tpm ${certified.path} n4 n4 2> refused"; whoami n4/kubeconfig`,
  ];
  const out = await runGuide({ ...guide, blocks: [...guide.blocks, ...added] }, {
    before: [
      "ssh-keygen -q -N '' -t ed25519 -f hostkey; mkdir kubelet",
      "pin() { tlsboot ca show --data-dir lab | grep -o 'sha256:[0-9a-f]*' | tail -1; }",
      "at() { echo https://127.0.0.1:$PORT --ca-cert-hash $(pin); }",
      "show() { tlsboot attest --proof $1 --proof-from $2 --hostname-override $3 --show; }",
      "prove() { tlsboot bootstrap --attest $1 --proof-from $2 --hostname-override $3 --kubeconfig $4/kubeconfig " +
      "--cert-dir $4/pki --timeout 20s --server $(at); }",
      "whoami() { kubectl --kubeconfig $1 auth whoami; }",
    ],
    files: new Map([["authority.pem", certified.caPem]]),
    values: {
      "tlsboot attest --show":
        `{ sed '/^  -/d' machines.yaml; show tpm ${tpm.path} n1; show ssh hostkey n2; } > listed; mv listed machines.yaml`,
      [`tlsboot bootstrap --attest tpm ${server} --rotate-certificates & boot=$!`]: [
        `${proveN1}; whoami n1/kubeconfig`,
        "prove ssh hostkey n2 n2; whoami n2/kubeconfig",
        refuse(`prove tpm ${foreign.path} n1 copy`),
      ].join("\n"),
      // The server records the event a moment later.
      [events]: `eventually "${events} | grep NodeAttestationRefused"`,
      [`tlsboot attest ${server}`]:
        "tlsboot attest --proof ssh --proof-from hostkey --hostname-override n2 --server $(at)",
      "/var/lib/kubelet": "$PWD/kubelet",
      "/etc/kubernetes": "kubelet",
      // The kubelet exits, because there is no container runtime.
      "systemctl start kubelet":
        "kubelet --bootstrap-kubeconfig=kubelet/bootstrap-kubelet.conf --hostname-override=n2 " +
        "--kubeconfig=kubelet/kubelet.conf --cert-dir=$PWD/kubelet/pki > kubelet.log 2>&1 || true\nwhoami kubelet/kubelet.conf",
      "ssh-keyscan n1 n2 > known_hosts": "echo n2 $(cut -d ' ' -f 1,2 hostkey.pub) > known_hosts",
      [`--inventory known_hosts ${network}`]:
        "--inventory known_hosts\nprove ssh hostkey n2 known; whoami known/kubeconfig",
      [network]: "",
      "tlsboot get certificates --data-dir lab --subject": `${
        refuse(proveN1)
      }\ntlsboot get certificates --data-dir lab --subject`,
    },
  });
  const joined = [...out.matchAll(/Username +system:node:(n\d)\n/g)].map(([, node]) => node);
  assert.deepEqual(joined, ["n1", "n2", "n2", "n2", "n1", "n4"]);
  assert.match(out, / PROOF +ADDRESS [^]* tpm sha256:[0-9a-f]{64} \d/);
  assert.match(out, /this machine is "n1": the proof was not accepted: /);
  assert.match(out, /NodeAttestationRefused +node\/n1 .*the inventory does not list this key for this node/);
  assert.match(out, /A stock kubelet gives no proof when it renews/);
  assert.match(out, /node\/n1 revoked: [^]*revoked[^]*node\/n1 is no longer revoked: /);
});

test("leaked_token: the token is revoked, its certificates are listed and revoked, and a machine joins again", async () => {
  const out = await runGuide(await readGuide("leaked_token"), {
    before: [
      "export TLSBOOT_DATA_DIR=lab",
      "tlsboot up --auto-approve",
      "token=$(tlsboot token create) hash=$(tlsboot ca show | grep -o 'sha256:[0-9a-f]*' | tail -1)",
      "join='--server https://127.0.0.1:6443 --token '$token' --ca-cert-hash '$hash",
      "for n in n1 n2; do tlsboot bootstrap $join --hostname-override $n --kubeconfig $n/kubeconfig --cert-dir $n/pki; done",
    ],
    values: {
      abcdef: "${token%.*}",
      "token create --node n1": "token create --node n1 --server https://127.0.0.1:$PORT",
      "describe certificate SERIAL":
        "describe certificate $(tlsboot get certificates --token ${token%.*} -o name | head -1 | cut -d/ -f2)",
      "rm n1/kubeconfig":
        "if kubectl --kubeconfig n1/kubeconfig auth whoami 2> refused; then exit 1; fi; cat refused; rm n1/kubeconfig",
      "--join n1.pack --kubeconfig n1/kubeconfig --cert-dir n1/pki & boot=$!":
        "--join n1.pack --kubeconfig n1/kubeconfig --cert-dir n1/pki; kubectl --kubeconfig n1/kubeconfig auth whoami",
    },
  });
  assert.match(out, /token\/\w{6} revoked and deleted: the 2 certificates that were requested with it still work/);
  assert.match(out, /CN=system:node:n2,O=system:nodes +127\.0\.0\.1 +\S+Z +valid/);
  assert.match(out, /token\/\w{6} revoked: 2 certificates affected/);
  assert.match(out, /must be logged in to the server|Unauthorized/);
  assert.match(out, /Username +system:node:n1\n/);
});

test("who_has_what: the register is listed, described and verified, and an auditor sees only the register", async () => {
  const guide = await readGuide("who_has_what");
  const blocks = [...guide.blocks, "head -1 certificates.csv", "! kubectl --kubeconfig auditor.kubeconfig get csr"];
  const out = await runGuide({ ...guide, blocks }, {
    before: ["tlsboot up", "tlsboot kubeconfig user alice"],
  });
  assert.match(out, /^Serial number: +[0-9a-f]+\n/m);
  assert.match(out, /^NAME +SERIAL +SUBJECT [^]*CN=auditor/m);
  assert.match(out, /^\d+ records are intact, /m);
  assert.match(out, /^serialNumber,subject,signerName,/m);
});

test("trust_bundles: the CA of the API is fetched, and a file follows the bundle of a signer", async () => {
  const guide = await readGuide("trust_bundles");
  const changed = "eventually '[ -s reloaded ]'; rm reloaded";
  const out = await runGuide({
    ...guide,
    blocks: [
      ...guide.blocks,
      changed,
      "openssl x509 -in web.pem -noout -subject; openssl verify -CAfile kubernetes.pem tlsboot-data/pki/apiserver.crt",
      "tlsboot ca init --data-dir next --common-name next-ca",
      "export KUBECONFIG=tlsboot-data/admin.kubeconfig",
      "kubectl get clustertrustbundle example.com:web:v1 -o json > v1.json",
      `jq --rawfile ca next/pki/ca.crt '.metadata = {name: "example.com:web:v2"} | .spec.trustBundle = $ca' v1.json > v2.json`,
      "kubectl create -f v2.json",
      changed,
      "eventually 'grep -c BEGIN web.pem | grep -x 2'",
    ],
  }, {
    before: ["tlsboot up"],
    values: { "--watch --exec 'nginx -s reload'": "--watch --exec 'echo yes > reloaded' & boot=$!" },
  });
  assert.match(out, /^kubernetes\.io:kube-apiserver-serving:\w+ +kubernetes\.io\/kube-apiserver-serving +1 /m);
  assert.match(out, /^ok/m);
  assert.match(out, /subject=CN ?= ?web-ca\n.*apiserver\.crt: OK\n/);
  assert.match(out, /^2$/m);
});

test("stolen_machine: a person and a node are revoked, and get new certificates", async () => {
  const guide = await readGuide("stolen_machine");
  const asNode = "kubectl --kubeconfig new-n1/kubeconfig auth whoami";
  const blocks = [
    ...guide.blocks,
    "kubectl --kubeconfig alice.kubeconfig auth whoami",
    "for k in stolen.kubeconfig n1/kubeconfig; do ! kubectl --kubeconfig $k auth whoami || exit 1; done",
  ];
  const out = await runGuide({ ...guide, blocks }, {
    before: [
      "tlsboot up --auto-approve",
      "tlsboot kubeconfig user alice; cp alice.kubeconfig stolen.kubeconfig",
      "tlsboot bootstrap --bootstrap-kubeconfig tlsboot-data/bootstrap.kubeconfig --hostname-override n1 " +
      "--kubeconfig n1/kubeconfig --cert-dir n1/pki",
      "finish_boot; kubectl --kubeconfig n1/kubeconfig auth whoami",
    ],
    values: {
      "tlsboot token create --node n1 --approve": "token=$(tlsboot token create --node n1 --approve)",
      "abcdef.0123456789abcdef": "$token",
      "sha256:1234…cdef": "$(tlsboot ca show | grep -o 'sha256:[0-9a-f]*' | tail -1)",
      "tlsboot get revocations": `finish_boot; ${asNode}; tlsboot get revocations`,
    },
  });
  assert.equal(out.match(/Username +system:node:n1\n/g)?.length, 2);
  assert.match(out, /Username +alice\n/);
  assert.match(out, /^user\/alice is no longer revoked: 0 certificates work again$/m);
  assert.match(out, /^node:n1 +keyCompromise +kubernetes-admin .* stolen from rack 4$/m);
});

test("custom_signer: a custom signer issues for a web server, and a policy approves the next request", async () => {
  const out = await runGuide(await readGuide("custom_signer"));
  assert.match(out, /www\/tls\.crt: OK/);
  assert.match(out, /DNS:www\.home\.arpa/);
});

test("air_gap: a machine and a program get and renew their certificates with a USB stick", async () => {
  const guide = await readGuide("air_gap");
  const files = (await readGuide("custom_signer")).files;
  const out = await runGuide({
    ...guide,
    blocks: [...guide.blocks, "tlsboot up --data-dir ca", "kubectl --kubeconfig n1/kubeconfig auth whoami"],
  }, {
    before: ["mkdir stick"],
    files,
    values: {
      "/media/stick": "stick",
      "https://10.0.0.1:6443": "https://127.0.0.1:$PORT",
      // A reader answers the question on a terminal.
      "tlsboot sign stick --data-dir ca --server": "tlsboot sign stick --yes --data-dir ca --server",
      "tlsboot sign stick --data-dir ca\n": "tlsboot sign stick --yes --data-dir ca\n",
      "tlsboot sign stick/vault": "tlsboot sign stick/vault --yes --ca-passphrase-file " +
        "shares/share-1-of-3.txt,shares/share-2-of-3.txt",
      // The certificate is new, and must become due for renewal.
      "--renew-before 200d": "--renew-before 8759h56m",
      "--renew-before 364d": "--renew-before 8759h56m",
    },
  });
  assert.match(out, /kubelet-client-current\.pem: OK/);
  assert.match(out, /serving certificate of n1, 10\.0\.0\.11 issued/);
  assert.match(out, /printer\/tls\.crt: OK/);
  assert.equal(out.match(/^n1\.answer\.pem: signed, /gm)?.length, 3);
  assert.equal(out.match(/kubelet-client-current\.pem: OK/g)?.length, 2, "the second one is from the new CA");
  assert.match(out, /^n2\.answer\.pem: signed, /m);
  assert.match(out, /^n3\.answer\.pem: signed, /m);
  assert.match(out, /Username +system:node:n1\n/);
});

test("requests_by_mail: a server has no signer, and its CA receives requests as a file", async () => {
  const out = await runGuide(await readGuide("requests_by_mail"), {
    before: [
      'start_serve() { "$@" > up.log 2>&1 & up=$!; eventually "grep -q \'tlsboot serves\' up.log"; }',
    ],
    values: {
      "tlsboot serve --data-dir": "start_serve tlsboot serve --secure-port $PORT --data-dir",
      "tlsboot offline export > requests.tlsb": "tlsboot offline export > requests.tlsb 2> exported; cat exported",
      "sha256:1234…cdef": "$(grep -o 'sha256:[0-9a-f]*' exported)",
    },
  });
  assert.match(out, /deployer\/tls\.crt: OK/);
  assert.match(out, / issued$/m);
  assert.match(out, /^answers-[0-9a-f]{8}\.html$/m);
});

test("person: people and a program get access with the permissions that they are granted", async () => {
  const out = await runGuide(await readGuide("person"), { before: ["tlsboot up"] });
  assert.match(out, /Username +alice\n/);
  assert.match(out, /^yes$/m);
  assert.match(out, /clusterrolebinding\S* "tlsboot:viewer:vera" deleted/);
});

test("class: the walkthroughs with kubectl, and with curl and openssl, work", async () => {
  const guide = await readGuide("class");
  const verified = "finish_boot; openssl verify -CAfile tlsboot-data/pki/ca.crt n4/pki/kubelet-client-current.pem";
  const out = await runGuide({ ...guide, blocks: [...guide.blocks, verified] });
  assert.match(out, /Username +system:node:n2\n/);
  assert.match(out, /n2\/pki\/kubelet-client-current\.pem: OK/);
  assert.match(out, /"username": "system:node:n3"/);
  assert.match(out, /n4\/pki\/kubelet-client-current\.pem: OK/);
});

test("backup: an instance is backed up with a passphrase and with a key, and restored", async () => {
  const out = await runGuide(await readGuide("backup"), {
    before: [
      "umask 077; echo correct-horse > passphrase",
      "tlsboot up --data-dir tlsboot-data",
    ],
    values: {
      "/var/lib/tlsboot": "tlsboot-data",
      // A reader types the passphrase on a terminal.
      "instance.backup": "instance.backup --passphrase-file passphrase",
      'tlsboot backup "/srv/backup/': 'tlsboot backup "',
      "age1…": await identityToRecipient(await generateX25519Identity()),
      "systemctl stop tlsboot": "kill $up; wait $up || true; up=",
      "systemctl start tlsboot": "start_up tlsboot up --data-dir tlsboot-data; tlsboot get csr 2>&1",
    },
  });
  assert.match(out, /valid: made [^]*No resources found/);
});

test("ca: a server uses an imported CA, a CA with a passphrase, and a CA that signs through a program", async () => {
  const guide = await readGuide("ca");
  // Each block has its own instance. Other tests cover a terminal and another cluster.
  const blocks = guide.blocks.map((block, index) =>
    [
      `export TLSBOOT_DATA_DIR=ca-${index}`,
      ...block.split("\n").filter((line) => !/--encrypt-key|^tlsboot signer/.test(line)),
    ]
      .join("\n")
  );
  const out = await runGuide({
    ...guide,
    blocks: [...blocks, "tlsboot ca show", "openssl x509 -noout -subject -in ca-0/pki/ca.crt"],
  }, {
    before: [
      "umask 077; echo correct-horse > ca-passphrase",
      `cp ${ROOT}/docs/examples/ca-key-openssl .; export CA_KEY_FILE=$PWD/program.key`,
      "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out program.key",
      "openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -subj /CN=root -days 9 2>/dev/null",
      "openssl req -newkey rsa:2048 -nodes -keyout intermediate.key -out request.pem -subj /CN=intermediate 2>/dev/null",
      "printf 'basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign,cRLSign\\n' > extensions",
      "openssl x509 -req -in request.pem -CA root.pem -CAkey root.key -CAcreateserial -days 8 -extfile extensions " +
      "-out intermediate.pem 2>/dev/null",
      "cat intermediate.pem root.pem > chain.pem",
    ],
    values: { "/run/secrets/": "", "pass show tlsboot": "echo correct-horse" },
  });
  assert.match(out, /subject=CN = intermediate/);
});

test("monitoring: Prometheus scrapes with the token, evaluates alerts and panels, and the audit log follows the policy", async () => {
  const guide = await readGuide("monitoring");
  const [makeToken = "", installFiles = "", saveDashboard = "", ...others] = guide.blocks;
  assert.deepEqual(others, []);
  const prometheus = await ensureDebianProgram("prometheus");
  const url = `127.0.0.1:${await findServerPort()}`;
  // Paths are relative to the folder of the configuration. The default interval of a minute is too long for a test.
  const config = (guide.files.get("prometheus.yml") ?? "").replaceAll("/etc/prometheus/", "") +
    "global: { scrape_interval: 1s, evaluation_interval: 1s }\n";
  const queries = await readDashboardQueries();
  const out = await runGuide({
    files: new Map([...guide.files, ["prometheus.yml", config], ["panels", `${queries.join("\n")}\n`]]),
    blocks: [
      `export PATH=$PATH:${join(prometheus, "usr", "bin")} TLSBOOT_DATA_DIR=data KUBECONFIG=data/admin.kubeconfig`,
      "tlsboot up --audit-policy-file audit-policy.yaml --audit-log-path audit.log",
      makeToken,
      "test $(stat -c %a tlsboot.token) = 600",
      "mkdir etc && cp data/pki/ca.crt .",
      "sed -i s/boot.example.com:6443/127.0.0.1:$PORT/ prometheus.yml",
      installFiles,
      "test ! -e tlsboot.token",
      `prometheus --config.file=etc/prometheus.yml --storage.tsdb.path=tsdb --web.listen-address=${url} 2> prometheus.log &`,
      // The trap of the script stops it with the server.
      "boot=$!",
      `eventually "promtool query instant http://${url} up 2> /dev/null | grep '=> 1 '"`,
      `eventually "curl -sf http://${url}/api/v1/rules > rules.json && ! grep -q unknown rules.json"`,
      'grep -o \'"health":"[a-z]*"\' rules.json | sort | uniq -c',
      `${saveDashboard}cmp tlsboot.dashboard.json ${ROOT}/packaging/mixin/tlsboot.dashboard.json`,
      "tlsboot kubeconfig user alice",
      `while read -r query; do ${HAS_DATA.replace("URL", url)}; echo "data for $query"; done < panels`,
      "kubectl get --raw '/readyz?verbose'; kubectl get --raw /readyz/etcd; kubectl get --raw /readyz/storage-space; echo",
      "kubectl get csr",
      "eventually 'grep -o \"RequestResponse.*certificatesigningrequests.*kubernetes-admin\" audit.log'",
      "if grep -e /readyz -e /metrics -e RequestReceived audit.log; then exit 1; fi",
    ],
  }, { values: { "/etc/prometheus": "etc", "-o prometheus": '-o "$(id -un)"' } });
  assert.match(out, /SUCCESS: [0-9]+ rules found[^]*^up\{[^}]*job="tlsboot"/m);
  assert.match(out, /^ +[0-9]+ "health":"ok"\nalice\.kubeconfig\n(?:data for .*\n)+\[\+\]/m);
  assert.equal(out.match(/^data for /gm)?.length, queries.length);
});

test("notifications: a test message, a pending request and a signed message reach the receiver", async () => {
  await using receiver = await startNotificationReceiver();
  const guide = await readGuide("notifications");
  const metrics = "kubectl --kubeconfig tlsboot-data/admin.kubeconfig get --raw /metrics";
  const isSent = `eventually "${metrics} | grep 'tlsboot_notifications_total{result=.sent.} 1' > sent"`;
  const out = await runGuide({ ...guide, blocks: [...guide.blocks, 'echo "key: $(cat notify.key)"'] }, {
    files: new Map([["phone.crt", receiver.caPem]]),
    values: {
      "https://ntfy.example.com": receiver.url,
      "--notify-file notify.url": "--notify-file notify.url --notify-ca-file phone.crt",
      "tlsboot approve ": `${isSent}; tlsboot approve `,
    },
  });
  const [first, pending, signed] = receiver.received;
  assert.match(first?.notification.sentence ?? "", /^The notifications of tlsboot on .* arrive here$/);
  assert.match(
    pending?.notification.sentence ?? "",
    /^Node n1, with the token [a-z0-9]{6}, asks for a client certificate, /,
  );
  const [, key = ""] = /^key: (\w{64})$/m.exec(out) ?? [];
  const digest = createHmac("sha256", key).update(signed?.body ?? "").digest("hex");
  assert.equal(signed?.headers["x-tlsboot-signature"], `sha256=${digest}`);
});

/** The script that waits until a query has a result. */
const HAS_DATA =
  `eventually 'curl -sf --get --data-urlencode "query=$query" http://URL/api/v1/query | grep value > last'`;

/** Reads the queries of the dashboard, with Grafana's variables filled in for all instances. */
async function readDashboardQueries(): Promise<readonly string[]> {
  const text = await readFile(join(ROOT, "packaging/mixin/tlsboot.dashboard.json"), "utf8");
  const { panels } = JSON.parse(text) as { panels: readonly { targets: readonly { expr: string }[] }[] };
  assert.ok(panels.length > 10);
  return panels.flatMap(({ targets }) =>
    targets.map(({ expr }) => expr.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "10s"))
  );
}

test("post_quantum: OpenSSL 3.5 verifies an ML-DSA certificate and authenticates with it, and its request is signed", async () => {
  const openssl = await ensureNewOpenssl();
  const out = await runGuide(await readGuide("post_quantum"), {
    before: [`openssl() { "${openssl}" "$@"; }`],
    values: { "tlsboot inspect n1/pki": "finish_boot; tlsboot inspect n1/pki" },
  });
  assert.match(out, /Key: +ML-DSA-65\n/);
  assert.match(out, /kubelet-client-current\.pem: OK\n/);
  assert.match(out, /Negotiated TLS1\.3 group: X25519MLKEM768\nVerification: OK\n/);
  assert.match(out, /\nweb\.crt: OK\n[^]*\nweb-quantum\.crt: OK\n/);
});

test("tutorial: one machine is approved by hand, another by a rule and renewed, and the first one is revoked", async () => {
  const out = await runGuide(await readGuide("tutorial"), {
    values: {
      "tlsboot get certificates":
        "eventually 'tlsboot get certificates > list; grep -q \"n2.*replaced\" list'; cat list",
      "tlsboot doctor n1": "if tlsboot doctor n1; then exit 1; fi",
    },
  });
  assert.match(out, /Username +system:bootstrap:\w{6}\n[^]*Username +system:node:n1\n/);
  assert.match(out, /CN=system:node:n2,O=system:nodes [^]*CN=system:node:n2,O=system:nodes .* valid /);
  assert.match(out, /error +server-access/);
});

test("README: a machine is approved by hand, and a person gets access with one command", async () => {
  const [, section = ""] = /\n## Use it\n([^]*?)\n## /.exec(await readFile("README.md", "utf8")) ?? [];
  const { files, blocks } = parseGuide(section);
  // Omits the shell function for a checkout. The script itself starts the client in the background.
  const typed = blocks.map((block) => block.replace(/^tlsboot\(\).*$/m, "").replace(/ &(?= +#)/, ""));
  const out = await runGuide({ files, blocks: typed });
  assert.match(out, /Username +system:node:n1\n/);
});
