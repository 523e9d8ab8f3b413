/**
 * Tests `tlsboot doctor`: each case breaks exactly one thing in a real instance, reads the finding, runs its fix
 * unchanged in a shell, and checks that the finding is gone.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { chmod, copyFile, cp, mkdir, readFile, rename, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { issueClientPair, issuePair } from "../../instance/authority/issue_pair.ts";
import { issueCertificate } from "../../core/pki/authority/issue.ts";
import { generatePrivateKey, parsePrivateKey } from "../../core/pki/keys/keys.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import type { Finding } from "../../core/report/health/finding.ts";
import { createSystemRandom } from "../../cli/system.ts";
import { createDoctorFixture, type DoctorFixture, HOUR_MS, makeCaPem, YEAR_MS } from "../support/doctor_fixture.ts";
import { alternativeNames, encodeOddCertificate, keyUsage } from "../support/odd_certificate.ts";

const random = createSystemRandom();

let place: DoctorFixture;

interface Case {
  readonly name: string;
  /** The target, and flags for it. */
  readonly target: readonly string[];
  /** Breaks one thing and nothing else. */
  readonly breakIt: () => Promise<unknown>;
  /** The names of the checks that fail. Message and fix are those of the first one with a fix. */
  readonly check: string | readonly string[];
  readonly severity: Finding["severity"];
  readonly message: RegExp;
  readonly fix: RegExp;
}

/** Returns an edit that makes a kubeconfig trust other CAs. */
function trustInstead(pem: string): (text: string) => string {
  const data = Buffer.from(pem).toString("base64");
  return (text) => text.replace(/(certificate-authority-data): .*/, `$1: ${data}`);
}

/** A serving certificate like the server's own. */
const SERVING_PLAN = {
  subject: { commonName: "tlsboot" },
  dnsNames: ["localhost"],
  ipAddresses: ["127.0.0.1"],
  usages: ["digital signature", "server auth"],
  lifetimeMs: YEAR_MS,
};

const CASES: readonly Case[] = [
  {
    name: "a CA key that others can read",
    target: ["data"],
    breakIt: () => chmod(place.folder.join("data/pki/ca.key"), 0o644),
    check: "secret-files",
    severity: "error",
    message: /"data\/pki\/ca\.key" is not private: others may read it \(mode 644\)/,
    fix: /^chmod 600 data\/pki\/ca\.key$/,
  },
  {
    name: "a folder of keys that every user may write to",
    target: ["data"],
    breakIt: () => chmod(place.folder.join("data/pki"), 0o777),
    check: "secret-folders",
    severity: "error",
    message: /every user may write to "data\/pki"/,
    fix: /^chmod go-w data\/pki$/,
  },
  {
    name: "a key of another certificate, while the right key is elsewhere",
    target: ["data"],
    breakIt: async () => {
      await rename(place.folder.join("data/pki/apiserver.key"), place.folder.join("data/pki/old.key"));
      await copyFile(place.folder.join("data/pki/sa.key"), place.folder.join("data/pki/apiserver.key"));
      await chmod(place.folder.join("data/pki/apiserver.key"), 0o600);
    },
    check: "key-pair",
    severity: "error",
    message: /the key in "data\/pki\/apiserver\.key" does not belong to certificate "tlsboot"/,
    fix: /^cp data\/pki\/old\.key data\/pki\/apiserver\.key$/,
  },
  {
    name: "a serving certificate without an authority key identifier",
    target: ["data"],
    breakIt: async () => {
      const keys = await Promise.all(
        ["apiserver.key", "ca.key"].map((name) => readFile(place.folder.join(`data/pki/${name}`), "utf8")),
      );
      const [key, signer] = keys.map(parsePrivateKey);
      assert.ok(key?.ok === true && signer?.ok === true);
      const der = encodeOddCertificate({
        subject: "tlsboot",
        issuer: (await place.readAuthority()).certificate.subject.commonName,
        key: key.value,
        signer: signer.value,
        notBefore: new Date(Date.now() - HOUR_MS),
        notAfter: new Date(Date.now() + YEAR_MS),
        serial: Uint8Array.of(1),
        version: 3,
        extensions: [keyUsage(0), alternativeNames("IP:127.0.0.1")],
      });
      await writeFile(place.folder.join("data/pki/apiserver.crt"), encodePem("CERTIFICATE", der));
    },
    check: "strict-verifiers",
    severity: "warning",
    message:
      /Python 3\.13 refuse certificate "tlsboot" in "data\/pki\/apiserver\.crt": it has no authority key identifier/,
    fix: /^rm -f data\/pki\/apiserver\.crt data\/pki\/apiserver\.key$/,
  },
  {
    name: "a serving certificate for another address",
    target: ["data"],
    breakIt: async () => {
      const plan = { ...SERVING_PLAN, dnsNames: ["elsewhere.example"], ipAddresses: ["192.0.2.1"] };
      const clock = { now: () => new Date() };
      const { certificatePem, keyPem } = await issuePair(await place.readAuthority(), plan, { clock, random });
      await writeFile(place.folder.join("data/pki/apiserver.crt"), certificatePem);
      await writeFile(place.folder.join("data/pki/apiserver.key"), keyPem.reveal(), { mode: 0o600 });
    },
    check: "serving-names",
    severity: "error",
    message:
      /^the certificate "data\/pki\/apiserver\.crt" is not for "127\.0\.0\.1", the address in the administrator's /,
    fix: /^rm -f data\/pki\/apiserver\.crt data\/pki\/apiserver\.key$/,
  },
  {
    name: "an administrator's kubeconfig of another CA",
    target: ["data"],
    breakIt: async () => {
      await place.edit("data/admin.kubeconfig", trustInstead(await makeCaPem("other")));
    },
    check: "server-access",
    severity: "error",
    message: /cannot trust "https:\S+": its serving certificate is signed by an unknown authority/,
    fix: /^tlsboot kubeconfig admin --data-dir data --force --server https:\S+$/,
  },
  {
    name: "a request for a signer that does not run",
    target: ["data"],
    breakIt: async () => {
      const { code, stderr } = await place.run([
        ...["request", "--signer", "example.com/nobody", "--dns", "web.example.com", "--out", "web"],
        ...["--subject", "CN=web", "--data-dir", "data", "--no-wait"],
      ]);
      assert.equal(code, 0, stderr);
    },
    check: "signers",
    severity: "warning",
    message:
      /^request "\S+" is for a signer that does not run in the server: make sure that a signer for "example.com\/nobody" /,
    fix: /^tlsboot delete csr \S+ --data-dir data$/,
  },
  {
    name: "a bootstrap token that never expires",
    target: ["data"],
    breakIt: () => place.succeed(["token", "create", "--data-dir", "data", "--ttl", "0"]),
    check: "tokens",
    severity: "warning",
    message: /^the bootstrap token [a-z0-9]{6} never expires: /,
    fix: /^tlsboot token delete [a-z0-9]{6} --data-dir data$/,
  },
  {
    name: "a backup that is older than a week",
    target: ["data"],
    breakIt: async () => {
      const path = await place.copyBackup();
      await utimes(path, new Date(), new Date(Date.now() - 8 * 24 * HOUR_MS));
    },
    check: "backup",
    severity: "warning",
    message: /the newest backup, "tlsboot\.backup", is from \S+: older than a week/,
    fix: /^tlsboot backup tlsboot\.backup --data-dir data --force$/,
  },
  {
    name: "a truncated backup",
    target: ["data"],
    breakIt: async () => await truncate(await place.copyBackup(), 2_000),
    check: "backup",
    severity: "warning",
    message: /^the backup "tlsboot\.backup" is cut off or damaged, and cannot be restored$/,
    fix: /^tlsboot backup tlsboot\.backup --data-dir data --force$/,
  },
  {
    name: "a damaged database",
    target: ["stopped"],
    breakIt: async () => {
      await place.copyBackup();
      const path = place.folder.join("stopped/tlsboot.db");
      const bytes = await readFile(path);
      await writeFile(path, bytes.fill(0xff, 4096, 8192));
    },
    check: "database",
    severity: "error",
    message: /^"stopped\/tlsboot\.db" is damaged: /,
    fix: /^tlsboot restore tlsboot\.backup --data-dir stopped --force$/,
  },
  {
    name: "a serving certificate that has expired",
    target: ["stopped"],
    breakIt: async () => {
      const plan = { ...SERVING_PLAN, lifetimeMs: HOUR_MS };
      const clock = { now: () => new Date(Date.now() - 2 * HOUR_MS) };
      const { certificatePem, keyPem } = await issuePair(await place.readAuthority(), plan, { clock, random });
      await writeFile(place.folder.join("stopped/pki/apiserver.crt"), certificatePem);
      await writeFile(place.folder.join("stopped/pki/apiserver.key"), keyPem.reveal(), { mode: 0o600 });
    },
    check: "expiry",
    severity: "error",
    message: /^certificate "tlsboot" in "stopped\/pki\/apiserver\.crt" expired at /,
    fix: /^rm -f stopped\/pki\/apiserver\.crt stopped\/pki\/apiserver\.key$/,
  },
  {
    name: "a certificate that lasts longer than its CA",
    target: ["stopped"],
    breakIt: async () => {
      const key = await generatePrivateKey("ecdsa-p256");
      const plan = {
        ...{ dnsNames: [], ipAddresses: ["127.0.0.1"], emailAddresses: [], uris: [], isCa: false },
        ...{ subject: { commonName: "tlsboot" }, publicKeyDer: key.publicKeyDer(), usages: ["server auth"] },
        notBefore: new Date(Date.now() - HOUR_MS),
        notAfter: new Date(Date.now() + 20 * YEAR_MS),
      };
      const der = await issueCertificate(plan, await place.readAuthority(), random.bytes(16));
      await writeFile(place.folder.join("stopped/pki/apiserver.crt"), encodePem("CERTIFICATE", der));
      await writeFile(place.folder.join("stopped/pki/apiserver.key"), key.toPem(), { mode: 0o600 });
    },
    check: "ca-expiry",
    severity: "warning",
    message:
      /^CA "tlsboot-ca" in "stopped\/pki\/ca\.crt" expires at \S+, before certificate "tlsboot" in "stopped\/pki\/apis/,
    fix: /^rm -f stopped\/pki\/apiserver\.crt stopped\/pki\/apiserver\.key$/,
  },
  {
    name: "a name of the server that cannot be resolved",
    target: ["stopped"],
    breakIt: () =>
      place.edit(
        "stopped/admin.kubeconfig",
        (text) => text.replace("https://127.0.0.1:", "https://no-such-host.invalid:"),
      ),
    check: "dns",
    severity: "warning",
    message: /^the server's name "no-such-host\.invalid" cannot be resolved$/,
    fix: /^tlsboot kubeconfig admin --data-dir stopped --force --server https:\/\/127\.0\.0\.1:\d+$/,
  },
  {
    name: "another program on the port of a server",
    target: ["stopped"],
    breakIt: async () => {
      const port = await place.listenElsewhere();
      await place.edit(
        "stopped/admin.kubeconfig",
        (text) => text.replace(/(server: https:\/\/127.0.0.1):\d+/, `$1:${port}`),
      );
    },
    check: "port",
    severity: "error",
    message: /^port \d+ is used by another program, process \d+: /,
    fix: /^kill \d+$/,
  },
  {
    name: "a server that may open few files",
    target: ["data"],
    breakIt: () => place.runFix(`prlimit --pid ${place.instance.running.pid} --nofile=512:`),
    check: "open-files",
    severity: "warning",
    message: /^the server \(process \d+\) has \d+ files open and may open 512; /,
    fix: /^prlimit --pid \d+ --nofile=\d+:$/,
  },
  {
    name: "a CA with less than a year left",
    target: ["short"],
    breakIt: () => Promise.resolve(),
    check: "ca-expiry",
    severity: "warning",
    message: /^CA "tlsboot-ca" in "short\/pki\/ca\.crt" expires at \S+, in 166 days: less than a year$/,
    fix: /^tlsboot ca rotate begin --data-dir short --duration 10y$/,
  },
  {
    name: "a CA of less than a year that is only files",
    target: ["paper/pki"],
    breakIt: () => place.succeed(["ca", "init", "--data-dir", "paper", "--duration", "4000h"]),
    check: "ca-expiry",
    severity: "warning",
    message: /^CA "tlsboot-ca" in "paper\/pki\/ca\.crt" expires at \S+, in 166 days: less than a year$/,
    fix: /^tlsboot ca rotate begin --ca-cert paper\/pki\/ca\.crt /,
  },
  {
    name: "a machine that does not trust a new CA yet",
    target: ["s1/pki"],
    breakIt: () => place.succeed(["ca", "rotate", "begin", "--data-dir", "short", "--duration", "10y"]),
    check: ["ca-expiry", "trusted-cas"],
    severity: "warning",
    message: /^the server's CA is being replaced: it publishes a CA that "s1\/kubeconfig" does not trust yet$/,
    fix: /^tlsboot bootstrap --kubeconfig \S+ --cert-dir \S+ --hostname-override s1$/,
  },
  {
    name: "a missing intermediate",
    target: ["missing"],
    breakIt: () => place.writeChain("missing", ["leaf"]),
    check: "chain",
    severity: "error",
    message: /"missing\/web\.crt" lacks the intermediate CA "intermediate"/,
    fix: /^awk .* missing\/intermediate\.crt >> missing\/web\.crt$/,
  },
  {
    name: "a chain in the wrong order",
    target: ["order"],
    breakIt: () => place.writeChain("order", ["intermediate", "leaf"]),
    check: "chain",
    severity: "error",
    message: /the certificates in "order\/web\.crt" are in the wrong order/,
    fix: /^cp -p order\/web\.crt order\/web\.crt\.new && /,
  },
  {
    name: "a stray certificate in a chain",
    target: ["stray"],
    breakIt: async () => {
      await place.writeChain("stray", ["leaf", "intermediate"]);
      const other = await makeCaPem("other");
      await place.edit("stray/web.crt", (text) => text + other);
    },
    check: "chain",
    severity: "warning",
    message: /"stray\/web\.crt" contains CA "other", which did not issue any certificate in the file/,
    fix: /^cp -p stray\/web\.crt stray\/web\.crt\.new && /,
  },
  {
    name: "a machine's key that others can read",
    target: ["n1/pki"],
    breakIt: () => chmod(place.folder.join("n1/pki/kubelet-client-current.pem"), 0o640),
    check: "secret-files",
    severity: "error",
    message: /"n1\/pki\/kubelet-client-current\.pem" is not private/,
    fix: /^chmod 600 n1\/pki\/kubelet-client-current\.pem$/,
  },
  {
    name: "a folder that was copied, with links to the original",
    target: ["copy/pki"],
    breakIt: async () => {
      await cp(place.folder.join("n1"), place.folder.join("copy"), { recursive: true, verbatimSymlinks: true });
      await place.edit("copy/kubeconfig", (text) => text.replaceAll("/n1/pki/", "/copy/pki/"));
    },
    check: "copied-folder",
    severity: "warning",
    message: /"copy\/pki" looks like a copy: its certificate is "\S+\/n1\/pki\/kubelet-client-[\d-]+\.pem"/,
    fix: /^ln -sfn kubelet-client-[\d-]+\.pem copy\/pki\/kubelet-client-current\.pem$/,
  },
  {
    name: "a folder that was moved, whose link is dangling",
    target: ["moved/pki"],
    breakIt: async () => {
      await cp(place.folder.join("n1"), place.folder.join("old"), { recursive: true, verbatimSymlinks: true });
      await place.runFix(`ln -sfn "$PWD/old/pki/$(basename "$(readlink old/pki/kubelet-client-current.pem)")" \\
        old/pki/kubelet-client-current.pem`);
      await rename(place.folder.join("old"), place.folder.join("moved"));
      await place.edit("moved/kubeconfig", (text) => text.replaceAll("/n1/pki/", "/moved/pki/"));
    },
    check: "copied-folder",
    severity: "error",
    message: /"moved\/pki" looks like a copy/,
    fix: /^ln -sfn kubelet-client-[\d-]+\.pem moved\/pki\/kubelet-client-current\.pem$/,
  },
  {
    name: "a kubeconfig that embeds a certificate while the folder's is renewed",
    target: ["n1/pki", "--kubeconfig", "n1/kubeconfig"],
    breakIt: async () => {
      const data = (await readFile(place.folder.join("n1/pki/kubelet-client-current.pem"))).toString("base64");
      await place.edit(
        "n1/kubeconfig",
        (text) => text.replace(/(client-(?:certificate|key)): .*/g, `$1-data: ${data}`),
      );
    },
    check: "renewed-pair",
    severity: "warning",
    message: /"n1\/kubeconfig" embeds a certificate, while renewals are stored in "\S+-current\.pem"/,
    fix: /^sed -i /,
  },
  {
    name: "a bootstrap token that is left on the machine and still works",
    target: ["n1/pki"],
    breakIt: async () => {
      await copyFile(place.folder.join("data/bootstrap.kubeconfig"), place.folder.join("n1/bootstrap.kubeconfig"));
    },
    check: "bootstrap-token",
    severity: "warning",
    message: /the bootstrap token [a-z0-9]{6} in "n1\/bootstrap\.kubeconfig" still works/,
    fix: /^rm n1\/bootstrap\.kubeconfig$/,
  },
  {
    name: "a CA in a machine's kubeconfig that its server has replaced",
    target: ["n1/pki"],
    breakIt: async () => {
      const own = await readFile(place.folder.join("data/pki/ca.crt"), "utf8");
      await place.edit("n1/kubeconfig", trustInstead(own + await makeCaPem("old")));
    },
    check: "trusted-cas",
    severity: "warning",
    message: /^"n1\/kubeconfig" still trusts a CA that the server has replaced$/,
    fix: /^tlsboot bootstrap --kubeconfig \S+ --cert-dir \S+ --hostname-override n1$/,
  },
  {
    name: "a clock that is three hours ahead",
    target: ["n1/pki"],
    breakIt: () => Promise.resolve(place.clockAheadMs = 3 * HOUR_MS),
    check: "clock",
    severity: "error",
    message: /this machine's clock is (?:3h0m|2h59m)\d+s ahead of the server's/,
    fix: /^date --utc --set=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
  },
  {
    name: "the CA of another server in a machine's kubeconfig",
    target: ["n1/pki", "--bootstrap-kubeconfig", "n1.kubeconfig"],
    breakIt: async () => {
      await place.renewToken();
      await place.edit("n1/kubeconfig", trustInstead(await makeCaPem("other")));
    },
    check: "server-access",
    severity: "error",
    message: /cannot trust "https:\S+": its serving certificate is signed by an unknown authority/,
    fix:
      /^mv n1\/kubeconfig n1\/kubeconfig\.old && mv n1\/pki\/\S+ \S+\.old && tlsboot bootstrap .* \|\| ! \{ mv n1\/kubeconfig\.old n1\/kubeconfig; mv \S+\.old n1\/pki\/\S+; \}$/,
  },
  {
    name: "a certificate that was revoked",
    target: ["n1/pki", "--bootstrap-kubeconfig", "n1.kubeconfig"],
    breakIt: async () => {
      await place.renewToken();
      const [{ serialNumber }] = JSON.parse(
        await place.succeed(["inspect", "n1/pki/kubelet-client-current.pem", "-o", "json"]),
      );
      await place.succeed(["revoke", serialNumber, "--data-dir", "data", "--yes"]);
    },
    check: "server-access",
    severity: "error",
    message: /the server no longer accepts this machine's certificate: Unauthorized/,
    fix: /^rm -f n1\/kubeconfig n1\/pki\/kubelet-client-current\.pem && tlsboot bootstrap --bootstrap-kubeconfig \S+/,
  },
  {
    name: "an expired certificate of a machine",
    target: ["n1/pki", "--bootstrap-kubeconfig", "n1.kubeconfig"],
    breakIt: async () => {
      await place.renewToken();
      const identity = { commonName: "system:node:n1", organizations: ["system:nodes"], lifetimeMs: HOUR_MS };
      const clock = { now: () => new Date(Date.now() - 2 * HOUR_MS) };
      const { certificatePem, keyPem } = await issueClientPair(await place.readAuthority(), identity, {
        clock,
        random,
      });
      await writeFile(place.folder.join("n1/pki/kubelet-client-current.pem"), certificatePem + keyPem.reveal());
    },
    check: ["kubeconfig", "client-certificate"],
    severity: "error",
    message: /expired at /,
    fix: /^rm -f n1\/kubeconfig n1\/pki\/kubelet-client-current\.pem && tlsboot bootstrap --bootstrap-kubeconfig \S+/,
  },
];

describe("tlsboot doctor", () => {
  before(async () => {
    place = await createDoctorFixture();
  });
  after(() => place[Symbol.asyncDispose]());

  test("tlsboot doctor finds nothing wrong with a new instance", async () => {
    const { code, stdout } = await place.run(["doctor", "--strict", "data"]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^data\n {2}ok +readable /);
    assert.match(stdout, /\n\n0 errors, 0 warnings, \d+ ok, 1 skipped\n$/);
  });

  for (const { name, target, breakIt, check, severity, message, fix } of CASES) {
    test(`tlsboot doctor finds ${name}, and its fix works unchanged`, async () => {
      await breakIt();
      const problems = await place.findProblems(target);
      const first = problems.find((one) => one.fix !== undefined);
      assert.deepEqual(
        problems.map((one) => `${one.severity} ${one.check}`),
        [check].flat().map((one) => `${severity} ${one}`),
      );
      assert.match(first?.message ?? "", message);
      assert.match(first?.fix ?? "", fix);
      await place.runFix(first?.fix ?? "");
      assert.deepEqual(await place.findProblems(target), []);
    });
  }

  test("the fix for a server that is not trusted puts the files back when it fails", async () => {
    const replaceCa = trustInstead(await makeCaPem("other"));
    const good = await readFile(place.folder.join("n1/kubeconfig"), "utf8");
    const pair = await readFile(place.folder.join("n1/pki/kubelet-client-current.pem"), "utf8");
    await place.edit("n1/kubeconfig", replaceCa);
    await place.edit("n1.kubeconfig", replaceCa);
    const [problem] = await place.findProblems(["n1/pki", "--bootstrap-kubeconfig", "n1.kubeconfig"]);
    await assert.rejects(place.runFix(problem?.fix ?? ""), /unknown authority/);
    assert.equal(await readFile(place.folder.join("n1/kubeconfig"), "utf8"), replaceCa(good));
    assert.equal(await readFile(place.folder.join("n1/pki/kubelet-client-current.pem"), "utf8"), pair);
    await writeFile(place.folder.join("n1/kubeconfig"), good);
  });

  test("tlsboot doctor gives advice instead of a command if a key or a token must be found first", async () => {
    const [key, kept] = [place.folder.join("data/pki/ca.key"), place.folder.join("ca.key")];
    await rename(key, kept);
    const [lost, ...others] = await place.findProblems(["data"]);
    await rename(kept, key);
    assert.deepEqual([lost?.severity, lost?.check, lost?.fix, others], ["warning", "key-pair", undefined, []]);
    assert.match(lost?.message ?? "", /^the key of CA "tlsboot-ca" is not next to "data\/pki\/ca\.crt"; /);

    // The machine's name is in the pair that the link pointed to.
    await cp(place.folder.join("n1"), place.folder.join("lost"), { recursive: true, verbatimSymlinks: true });
    await place.edit("lost/kubeconfig", (text) => text.replaceAll("/n1/pki/", "/lost/pki/"));
    await rm(place.folder.join("lost/pki/kubelet-client-current.pem"));
    const problems = await place.findProblems(["lost/pki", "--kubeconfig", "lost/kubeconfig"]);
    assert.deepEqual(problems.map(({ check, fix }) => [check, fix]), [
      ["kubeconfig", undefined],
      ["client-certificate", undefined],
    ]);
    for (const { advice = "" } of problems) {
      assert.match(
        advice,
        /^make a token with: tlsboot token create --node n1, and give it on stdin to: tlsboot bootstrap /,
      );
      assert.match(advice, / --hostname-override n1$/);
    }
  });

  test("tlsboot doctor reports a file without the PEM block that its name promises", async () => {
    for (const target of ["order", "n1/pki"]) {
      await writeFile(place.folder.join(`${target}/empty.pem`), "");
      const problems = await place.findProblems([target]);
      await rm(place.folder.join(`${target}/empty.pem`));
      assert.deepEqual(problems.map(({ check, message }) => [check, message]), [
        ["readable", `"${target}/empty.pem" cannot be read: there is no PEM block in it`],
      ]);
    }
  });

  test("tlsboot doctor suggests a file in a folder without a target, and counts an error in a textfile", async () => {
    const machine = await place.run(["doctor", "n1", "-o", "json"]);
    for (const name of ["n1/pki", "n1/kubeconfig", "n1/pki/kubelet-client-current.pem"]) {
      assert.deepEqual(machine, await place.run(["doctor", name, "-o", "json"]), `a machine is found by ${name}`);
    }
    await cp(place.folder.join("n1"), place.folder.join("tlsboot-data/nodes/n9"), {
      recursive: true,
      verbatimSymlinks: true,
    });
    assert.match((await place.run(["doctor", "n9"])).stdout, /^tlsboot-data\/nodes\/n9\/pki\n/);
    assert.match(
      (await place.run(["doctor", "n8"])).stderr,
      /"n8": there is no such file or folder here, in tlsboot-data\/nodes or in tlsboot-demo\/nodes\n/,
    );
    await mkdir(place.folder.join("configs"));
    await copyFile(place.folder.join("data/admin.kubeconfig"), place.folder.join("configs/admin.yaml"));
    assert.match(
      (await place.run(["doctor", "configs"])).stderr,
      /hint: check what is in it: tlsboot doctor configs\/admin\.yaml\n$/,
    );
    const { code, stdout } = await place.run(["doctor", "-o", "textfile", "configs"]);
    assert.equal(code, 1);
    assert.match(stdout, /^x509_read_errors 1$/m);
    assert.match(stdout, /^tlsboot_doctor_findings\{severity="error"\} 1$/m);
  });

  test("tlsboot policy check finds a rule that no request reaches, and its fix works unchanged", async () => {
    const page = await readFile("docs/guides/broken_machine.md", "utf8");
    const [, policy = ""] = /Save this as\n?[ ]?`web-policy\.yaml`:\n\n```yaml\n([^]*?)```/.exec(page) ?? [];
    await writeFile(place.folder.join("web-policy.yaml"), policy);
    assert.match(
      (await place.run(["doctor", "web-policy.yaml"])).stderr,
      /hint: check its rules with: tlsboot policy check web-policy\.yaml\n$/,
    );
    const { code, stdout } = await place.run(["policy", "check", "web-policy.yaml", "-o", "json"]);
    assert.equal(code, 1);
    const { findings: [found, ...others] }: { findings: readonly Finding[] } = JSON.parse(stdout);
    assert.deepEqual([found?.check, found?.severity, others], ["policy", "error", []]);
    assert.match(
      found?.message ?? "",
      /^rule "web" of policy "web" is never reached: rule "everything" decides all its requests before it; /,
    );
    assert.match(found?.fix ?? "", /^sed -i 11,16d web-policy\.yaml$/);
    await place.runFix(found?.fix ?? "");
    await place.succeed(["policy", "check", "web-policy.yaml"]);
  });

  test("tlsboot doctor does not contact the server of a kubeconfig with an exec plugin", async () => {
    const text = await readFile(place.folder.join("data/admin.kubeconfig"), "utf8");
    const exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: plugin}";
    const plugin = text.replace(/client-certificate-data: .*/, exec).replace(/^ *client-key-data: .*\n/m, "");
    await writeFile(place.folder.join("plugin.kubeconfig"), plugin, { mode: 0o600 });
    const { findings }: { findings: readonly Finding[] } = JSON.parse(
      await place.succeed(["doctor", "plugin.kubeconfig", "-o", "json"]),
    );
    const { severity, message } = findings.find(({ check }) => check === "server-access") ?? {};
    assert.equal(severity, "skipped");
    assert.match(message ?? "", /^exec of user ".*" is not supported$/);
  });

  test("tlsboot doctor --out replaces a textfile", async () => {
    await writeFile(place.folder.join("tlsboot.prom"), "old");
    const { code, stdout } = await place.run(["doctor", "-o", "textfile", "--out", "tlsboot.prom", "data"]);
    assert.deepEqual([code, stdout], [0, ""]);
    const text = await readFile(place.folder.join("tlsboot.prom"), "utf8");
    assert.match(
      text,
      /^x509_cert_not_after\{filename="ca\.crt",filepath="\S+\/data\/pki\/ca\.crt",serial_number="\d+",/m,
    );
    assert.match(text, /^tlsboot_doctor_findings\{severity="error"\} 0$/m);
    assert.match(text, /^x509_read_errors 0$/m);
  });
});
