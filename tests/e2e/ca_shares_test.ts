/** Tests shares of a CA key's passphrase: created, checked, typed, combined, and used wrongly. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { createRunner } from "../support/run_captured.ts";

const INIT = "ca init --shares 2-of-3 --shares-out shares";
const share = (number: number, folder = "shares") => `--ca-passphrase-file ${folder}/share-${number}-of-3.txt`;

/** Reads the groups of a share as a holder reads them from the page. */
async function readGroups(folder: TempFolder, number: number): Promise<readonly string[]> {
  const text = await readFile(folder.join(`shares/share-${number}-of-3.txt`), "utf8");
  return text.match(/[0-9A-Z]{4}-[0-9A-Z]{4}/g) ?? [];
}

test("tlsboot ca init --shares creates a key that any two of three shares open", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  const made = await tlsboot.succeed(INIT);
  assert.match(made.stdout, /share: shares\/share-3-of-3\.txt\n$/);
  assert.match(await readFile(folder.join("tlsboot-data/pki/ca.key"), "utf8"), /^-----BEGIN ENCRYPTED PRIVATE KEY/);
  const pages = await readdir(folder.join("shares"));
  assert.equal(pages.length, 6);
  for (const page of pages) assert.equal((await stat(folder.join(`shares/${page}`))).mode & 0o777, 0o600);
  assert.match(
    await readFile(folder.join("shares/share-1-of-3.html"), "utf8"),
    /<th>Needed<\/th><td>2 of the 3 shares<\/td>/,
  );
  await tlsboot.succeed("ca init --data-dir other --common-name <b>&c --shares 2-of-2 --shares-out others");
  const page = await readFile(folder.join("others/share-1-of-2.html"), "utf8");
  assert.ok(page.includes("<td>the CA &quot;&lt;b&gt;&amp;c&quot;</td>") && !page.includes("<b>"));
  for (const [a, b] of [[1, 2], [3, 1], [2, 3]] as const) {
    await tlsboot.succeed(`kubeconfig admin --force ${share(a)} ${share(b)}`);
  }
  const combined = await tlsboot.succeed(
    "ca shares combine --out passphrase shares/share-1-of-3.txt shares/share-3-of-3.txt",
  );
  assert.equal(combined.stdout, "");
  assert.equal((await stat(folder.join("passphrase"))).mode & 0o777, 0o600);
  await tlsboot.succeed("kubeconfig admin --force --ca-passphrase-file passphrase");
  const passphrase = (await readFile(folder.join("passphrase"), "utf8")).trim();
  assert.ok(!`${made.stdout}${made.stderr}`.includes(passphrase));
});

test("tlsboot ca init --shares continues an interrupted run with the shares that it wrote", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await tlsboot.succeed(INIT);
  const page = await readFile(folder.join("shares/share-1-of-3.txt"), "utf8");
  await unlink(folder.join("tlsboot-data/pki/ca.crt"));
  await tlsboot.succeed(INIT);
  await unlink(folder.join("tlsboot-data/pki/ca.crt"));
  await unlink(folder.join("tlsboot-data/pki/ca.key"));
  await tlsboot.succeed(INIT);
  assert.equal(await readFile(folder.join("shares/share-1-of-3.txt"), "utf8"), page);
  await tlsboot.succeed(`kubeconfig admin ${share(1)} ${share(2)}`);
  assert.match(await tlsboot.refuse(1, INIT), /cannot create a CA: ".*ca\.crt" exists/);
});

test("tlsboot ca init --shares never overwrites shares or keys", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await tlsboot.succeed(INIT);
  await unlink(folder.join("tlsboot-data/pki/ca.crt"));
  const otherFolder = await tlsboot("ca init --shares 2-of-3 --shares-out other");
  assert.match(otherFolder.stderr, /cannot make shares: the key "tlsboot-data\/pki\/ca\.key" exists/);
  await unlink(folder.join("shares/share-2-of-3.txt"));
  const incomplete = await tlsboot(INIT);
  assert.match(incomplete.stderr, /cannot use the folder "shares": it has 2 of 3 shares/);
  for (
    const [line, want] of [
      ["ca init --shares 2-of-3", /--shares needs --shares-out/],
      ...["3", "4-of-3", "1-of-3", "2-of-17", "2-of-", "-2-of-3"].map((text) =>
        [`ca init --shares=${text} --shares-out x`, /--shares: ".*" found, want M-of-N such as 2-of-3/] as const
      ),
      [`${INIT} --encrypt-key`, /--shares-out and --encrypt-key exclude each other/],
      [`${INIT} --ca-passphrase-file x`, /--shares-out and --ca-passphrase-file exclude each other/],
    ] as const
  ) {
    assert.match(await tlsboot.refuse(2, line), want);
  }
});

test("tlsboot ca shares split splits only the passphrase that opens the key", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await writeFile(folder.join("pass"), "correct horse battery\n", { mode: 0o600 });
  await writeFile(folder.join("wrong"), "battery horse\n", { mode: 0o600 });
  await tlsboot.succeed("ca init --ca-passphrase-file pass");
  const create = "ca shares split --shares 2-of-3 --out shares";
  assert.match(await tlsboot.refuse(1, `${create} --ca-passphrase-file wrong`), /the passphrase does not fit/);
  await assert.rejects(stat(folder.join("shares")));
  await tlsboot.succeed(`${create} --ca-passphrase-file pass`);
  const again = await tlsboot(`${create} --ca-passphrase-file pass`);
  assert.match(again.stderr, /cannot write a share: "shares\/share-1-of-3\.txt" exists/);
  const checked = await tlsboot.succeed("ca shares check shares/share-1-of-3.txt shares/share-3-of-3.txt");
  assert.match(checked.stdout, /the shares open tlsboot-data\/pki\/ca\.key\n$/);
  // Two old shares are enough to create a new set for other holders.
  await tlsboot.succeed(`ca shares split --shares 3-of-5 --out more --ca-passphrase-file - ${share(1)}`, {
    stdin: `${(await readGroups(folder, 2)).join(" ")}\n`,
  });
  const more = [1, 4, 5].map((number) => `more/share-${number}-of-5.txt`).join(" ");
  assert.match(await tlsboot.answer(`ca shares check ${more}`), /the shares open tlsboot-data\/pki\/ca\.key\n/);
  await tlsboot.succeed("ca init --data-dir plain");
  const plain = await tlsboot(`${create} --data-dir plain`);
  assert.match(plain.stderr, /the key "plain\/pki\/ca\.key" is not encrypted\ntlsboot: hint: encrypt it/);
});

test("mistyped, mixed, repeated and missing shares are reported", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await tlsboot.succeed(INIT);
  await rename(folder.join("shares"), folder.join("first"));
  await mkdir(folder.join("elsewhere"));
  await tlsboot.succeed(`${INIT} --data-dir elsewhere`);
  const path = folder.join("first/share-2-of-3.txt");
  const page = await readFile(path, "utf8");
  await writeFile(folder.join("first/open.txt"), page, { mode: 0o644 });
  await writeFile(folder.join("pass"), "correct horse battery\n", { mode: 0o600 });
  const admin = (...shares: readonly string[]) => tlsboot(`kubeconfig admin ${shares.join(" ")}`);
  for (
    const { given, code = 1, want } of [
      {
        given: [share(1, "first")],
        want: /2 of the 3 shares of the set [0-9A-F]{6} are needed, and 1 is given: number 1/,
      },
      {
        given: [share(1, "first"), share(2)],
        want:
          /"first\/share-1-of-3\.txt" is share 1 of 3 of the set (.{6}), and "shares\/share-2-of-3\.txt" is share 2/,
      },
      {
        given: [share(1, "first"), share(1, "first")],
        want: /"first\/share-1-of-3\.txt" and "first\/share-1-of-3\.txt" are the same share, number 1/,
      },
      {
        given: [share(1), share(2)],
        want: /the passphrase does not fit\ntlsboot: hint: give the passphrase of this key/,
      },
      {
        given: [share(1), "--ca-passphrase-file gone.txt"],
        want:
          /cannot read share "gone\.txt": file does not exist\n.*hint: check the path of the share, which cannot have a comma/,
      },
      {
        given: [share(1), "--ca-passphrase-file pass"],
        want:
          /cannot use share "pass": group 1: .*\ntlsboot: hint: .*if it has the passphrase itself, give no other file/,
      },
      { given: ["--ca-passphrase-file first/open.txt"], want: /others may read it \(mode 644\)/ },
      { given: ["--ca-passphrase-file tlsboot-data/pki/ca.key"], want: /the passphrase from ".*ca\.key": it has more/ },
    ]
  ) {
    const refused = await admin(...given);
    assert.equal(refused.code, code);
    assert.match(refused.stderr, want);
  }
  const groups = page.match(/[0-9A-Z]{4}-[0-9A-Z]{4}/g) ?? [];
  const third = groups[2] ?? "";
  await writeFile(path, page.replace(third, `${third.slice(0, -1)}${third.endsWith("0") ? "1" : "0"}`));
  const mistyped = await admin(share(1, "first"), share(2, "first"));
  assert.match(mistyped.stderr, /cannot use share "first\/share-2-of-3\.txt": group 3: it is mistyped/);
  const checked = await tlsboot("ca shares check first/share-1-of-3.txt first/share-2-of-3.txt");
  assert.equal(checked.code, 3);
  assert.match(checked.stdout, /share-1-of-3\.txt: share 1 of 3 .*\n.*share-2-of-3\.txt": group 3/);
  const foreign = await tlsboot("ca shares check shares/share-1-of-3.txt shares/share-2-of-3.txt");
  assert.deepEqual([foreign.code, /the shares do not open tlsboot-data/.test(foreign.stdout)], [3, true]);
});

test("shares are typed group by group on a terminal, and a mistyped group is asked for again at once", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await tlsboot.succeed(INIT);
  const [first, second] = [await readGroups(folder, 1), await readGroups(folder, 2)];
  const typed = ["", first[0]?.toLowerCase(), "2222-2222x", ...first.slice(1), first.join(" "), second.join(" "), ""];
  const admin = await tlsboot.succeed("kubeconfig admin --ca-passphrase-file -", {
    isTerminal: true,
    stdin: typed.join("\n"),
  });
  assert.match(
    admin.stderr,
    /^Passphrase of .*ca\.key: \nShare 1, group 1: \nShare 1, group 2 of 8: \nType group 2 again: it has 9 characters, want 8\.\nShare 1, group 2 of 8: \n/,
  );
  assert.match(admin.stderr, /This is share 1 of 3 of the set .{6}\.\nShare 2 of the 2 that are needed, group 1: \n/);
  assert.match(admin.stderr, /This share does not fit: .* are the same share, number 1\.\n/);
  assert.match(admin.stderr, /This is share 2 of 3 of the set .{6}\.\n⠋ deriving the key from the passphrase/);
  for (const group of [...first, ...second]) assert.ok(!admin.stderr.includes(group));
  // A share that is typed at the passphrase prompt is recognized.
  await tlsboot.succeed("kubeconfig admin --force", {
    isTerminal: true,
    stdin: `${second.join(" ")}\n${first.join("\n")}\n`,
  });
  const ended = await tlsboot("kubeconfig admin --force --ca-passphrase-file -", { stdin: `${first.join(" ")}\n` });
  assert.match(ended.stderr, /cannot combine the shares: 2 of the 3 shares .* are needed, and 1 is given/);
});
