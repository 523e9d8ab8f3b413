import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc, { anyText } from "../../tests/support/properties.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import {
  combineShares,
  createRandomPassphrase,
  formatShareGroups,
  looksLikeShare,
  parseShare,
  type SecretShare,
  splitPassphrase,
} from "./secret_shares.ts";

const random = createSeededRandom();

async function split(passphrase: string, threshold = 2, count = 3): Promise<readonly SecretShare[]> {
  const shares = await splitPassphrase(passphrase, { threshold, count }, random);
  assert.ok(shares.ok);
  return shares.value;
}

const named = (shares: readonly (SecretShare | undefined)[]) =>
  shares.map((share, index) => {
    assert.ok(share);
    return { name: `"${"abcdef"[index]}.txt"`, share };
  });

const write = (share: SecretShare) => formatShareGroups(share).join(" ");

test("combineShares() restores the passphrase from a subset that is large enough, after formatting and parsing", async () => {
  const shape = fc.record({
    passphrase: anyText({ minLength: 1, maxLength: 90 }).filter((text) => !text.includes("\0")),
    count: fc.integer({ min: 2, max: 16 }),
    seed: fc.integer({ min: 0, max: 1000 }),
  });
  await fc.assert(
    fc.asyncProperty(shape, async ({ passphrase, count, seed }) => {
      const threshold = 2 + seed % (count - 1);
      const shares = await split(passphrase, threshold, count);
      const rotated = [...shares.slice(seed % count), ...shares.slice(0, seed % count)].slice(0, threshold);
      const read = rotated.map((share) => {
        const parsed = parseShare(write(share));
        assert.ok(parsed.ok, JSON.stringify(parsed));
        assert.deepEqual(parsed.value, share);
        return parsed.value;
      });
      assert.deepEqual(await combineShares(read.map((share) => ({ name: "", share }))), {
        ok: true,
        value: passphrase,
      });
    }),
    { numRuns: 100 },
  );
});

/** Multiplies in GF(256) by the rule of FIPS 197 §4.2, without the tables of the package. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (; b > 0; b >>= 1, a = (a << 1) ^ (a & 0x80 ? 0x11b : 0)) if (b & 1) product ^= a;
  return product;
}

function divide(a: number, b: number): number {
  return Array.from({ length: 256 }, (_, x) => x).find((x) => multiply(x, b) === a) ?? 0;
}

test("a share is a point of a polynomial over GF(256) whose value at 0 is the passphrase", async () => {
  const shares = (await split("open sesame", 3, 5)).slice(1, 4);
  const xs = shares.map(({ points }) => points.at(-1) ?? 0);
  const bytes = Array.from({ length: 24 }, (_, place) =>
    shares.reduce((sum, { points }, i) => {
      const basis = xs.reduce((value, x, j) => i === j ? value : multiply(value, divide(x, x ^ (xs[i] ?? 0))), 1);
      return sum ^ multiply(points[place] ?? 0, basis);
    }, 0));
  assert.equal(new TextDecoder().decode(new Uint8Array(bytes)).replaceAll("\0", ""), "open sesame");
});

/** Written by this program once: paper that was printed then must stay readable. */
const PRINTED = [
  "20BRJYR3 141SYZRJ T2Y4CXCA CS0E1KT2 39AKA8Y5 8H7BRHC4 T6V80FHG VET2Z5N1",
  "20BRJYSH 143RS7ZK EZM8G6XN 2JZ4PMBV NSYBSY68 BPRFPYMQ 341GYRRS MQSQB91T",
];

test("parseShare() reads shares that were printed by the first version", async () => {
  const shares = PRINTED.map((text) => parseShare(text));
  const found = named(shares.map((share) => share.ok ? share.value : undefined));
  assert.deepEqual(await combineShares(found), { ok: true, value: "correct horse battery" });
});

test("parseShare() takes what people type, and the page of a share", async () => {
  const [share] = await split("pass");
  assert.ok(share);
  const groups = formatShareGroups(share);
  const typed = groups.map((group) => `${group.slice(0, 4)}-${group.slice(4)}`.toLowerCase());
  const confused = groups.map((group) => group.replaceAll("0", "o").replaceAll("1", "l"));
  const numbered = groups.map((group, index) => `${index + 1}. ${group}`).join("\r\n");
  const page =
    `Share 1 of 3\n\n-----BEGIN TLSBOOT SHARE-----\r\n${numbered}\r\n-----END TLSBOOT SHARE-----\nKeep it.\n`;
  for (const text of [typed.join(" "), confused.join("  "), numbered, page]) {
    assert.deepEqual(parseShare(text), { ok: true, value: share });
  }
});

test("looksLikeShare() is true for a share, even a mistyped one, and false for a passphrase", () => {
  const [share = ""] = PRINTED;
  for (
    const { text, want } of [
      { text: share, want: true },
      { text: share.toLowerCase().replaceAll(" ", "\n"), want: true },
      { text: share.replace(/^../, "22").replace(/..$/, "33"), want: true },
      { text: "-----BEGIN TLSBOOT SHARE-----", want: true },
      { text: share.split(" ")[0] ?? "", want: false },
      { text: "correct horse battery staple another eight words here", want: false },
      { text: "", want: false },
    ]
  ) assert.equal(looksLikeShare(text), want, text);
});

test("parseShare() names the group that is mistyped", async () => {
  const [share] = await split("pass");
  assert.ok(share);
  const groups = formatShareGroups(share);
  const change = (index: number, edit: (group: string) => string) =>
    groups.map((group, at) => at === index ? edit(group) : group).join(" ");
  const findFault = (text: string) => {
    const parsed = parseShare(text);
    return parsed.ok ? "none" : parsed.error;
  };
  assert.equal(findFault(change(2, (group) => group.slice(1))), "group 3: it has 7 characters, want 8");
  assert.equal(
    findFault(change(4, (group) => `U${group.slice(1)}`)),
    "group 5: it has a character that does not occur in a share",
  );
  assert.equal(findFault(groups.slice(0, 7).join(" ")), "it has 7 groups, want 8");
  assert.equal(findFault(""), "there is no share in it");
  assert.equal(findFault("hello"), "group 1: it has 5 characters, want 8");
  // Nearly all mistakes are found by the group's own character, and all others by the checksum of the whole.
  let named = 0;
  for (let at = 0; at < 8 * 8; at++) {
    const fault = findFault(change(at >> 3, (group) => {
      const other = group[at & 7] === "7" ? "8" : "7";
      return group.slice(0, at & 7) + other + group.slice((at & 7) + 1);
    }));
    assert.notEqual(fault, "none");
    if (fault === `group ${(at >> 3) + 1}: it is mistyped, or not in its place`) named++;
  }
  assert.ok(named > 50, String(named));
});

test("parseShare() returns a share or an error, whatever the text", () => {
  fc.assert(fc.property(anyText(), (text) => typeof parseShare(text).ok === "boolean"));
});

test("combineShares() says which shares do not belong together, and how many are missing", async () => {
  const [a, b, c] = await split("pass", 3, 4);
  const [other] = await split("pass", 3, 4);
  const describeFault = async (shares: readonly (SecretShare | undefined)[]) => {
    const combined = await combineShares(named(shares));
    assert.ok(!combined.ok);
    return [combined.error.kind, combined.error.message];
  };
  assert.deepEqual(await describeFault([a, c]), [
    "too few",
    `3 of the 4 shares of the set ${a?.setId} are needed, and 2 are given: number 1, 3`,
  ]);
  assert.deepEqual(await describeFault([a, b, other]), [
    "mixed",
    `"a.txt" is share 1 of 4 of the set ${a?.setId}, and "c.txt" is share 1 of 4 of the set ${other?.setId}`,
  ]);
  assert.deepEqual(await describeFault([b, a, b]), ["repeated", '"a.txt" and "c.txt" are the same share, number 2']);
  assert.deepEqual(await describeFault([]), ["too few", "there is no share"]);
});

test("splitPassphrase() refuses a passphrase that is too long for paper", async () => {
  assert.ok((await splitPassphrase("x".repeat(549), { threshold: 2, count: 2 }, random)).ok);
  assert.deepEqual(await splitPassphrase("x".repeat(550), { threshold: 2, count: 2 }, random), {
    ok: false,
    error: "it has 550 bytes, and shares hold 549 at most",
  });
});

test("createRandomPassphrase() makes 24 characters from the alphabet of shares", () => {
  assert.match(createRandomPassphrase(random), /^[0-9A-HJKMNP-TV-Z]{24}$/);
});
