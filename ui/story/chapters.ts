/**
 * The story of the demo: its chapters as data (what happens in each step, why, and what would go wrong without it), and
 * its events. The terminal prints both, and the page shows and draws them.
 */

/** The number of machines and the names that the texts mention. */
export interface Cast {
  /** The number of machines that request a certificate in the first chapter. */
  readonly count: number;
  /** The machine whose files are copied in the last chapter. */
  readonly victim: string;
}

/** The machine that is switched off until its certificate has expired. */
export const SLEEPER = "sleeper";
/** The lifetime of the sleeper's certificate in seconds, so that an expiry can be watched. */
export const SHORT_LIFE_SECONDS = 5;
/** How many days after its expiry a node's certificate may still request the next one. */
export const RECOVERY_DAYS = 90;

/** A chapter, which has one step or more. */
interface Chapter {
  readonly id: ChapterId;
  readonly title: string;
}

/** The chapters by their names in the address of the page. */
type ChapterId = "first" | "approval" | "refusal" | "renewal" | "expiry" | "theft";

/** The chapters in the order of the story. */
export const CHAPTERS: readonly Chapter[] = [
  { id: "first", title: "The first certificate" },
  { id: "approval", title: "Approval, by hand and by rule" },
  { id: "refusal", title: "A request that is refused" },
  { id: "renewal", title: "Renewal" },
  { id: "expiry", title: "An expired machine" },
  { id: "theft", title: "A thief, and a revocation" },
];

export interface StepText {
  readonly chapter: ChapterId;
  title(cast: Cast): string;
  /** What the parts of the program do in this step. */
  readonly happens: string;
  readonly why: string;
  /** The harm that would follow without the step. */
  readonly without: string;
}

/** The steps in the order of the story. */
export const STEPS = {
  authority: {
    chapter: "first",
    title: () => "A certificate authority is created",
    happens:
      "tlsboot creates the key and the certificate of a certificate authority (CA). The key stays in one file that " +
      "only its owner can read. The certificate is public.",
    why: "A program that trusts the CA can check every certificate that the CA has signed, even without a network.",
    without: "Every machine would need a list of the keys of all others, and each new machine would change every list.",
  },
  server: {
    chapter: "first",
    title: () => "The API server, the signer and the approver start",
    happens:
      "The API server accepts requests for certificates, the approver decides about them, and the signer signs " +
      "those that are approved. The server also creates a bootstrap token.",
    why: "Each part can do one thing: the approver has no key of the CA, and the signer makes no decisions. In a " +
      "cluster they are separate programs.",
    without: "If the server signed every request that reaches it, a holder of the token could become any machine.",
  },
  request: {
    chapter: "first",
    title: ({ count }) =>
      count === 1
        ? "A machine with nothing but a token asks for a certificate"
        : `${writeNumber(count)} machines with nothing but a token ask for certificates`,
    happens: "Each machine makes its own key and sends a certificate signing request (CSR) with its name. The token " +
      "allows it to ask, and nothing more. The requests are pending.",
    why: "The private key never leaves its machine. The same token can be on every new machine, because it is worth " +
      "little and soon expires.",
    without: "An administrator would make the keys and carry them to the machines. Each copy on the way can leak.",
  },
  hand: {
    chapter: "approval",
    title: ({ count }) => count === 1 ? "A person lets the machine in" : "A person lets the first machine in",
    happens:
      "An administrator reads the request and approves it. The approval is a condition in the request, with the " +
      "name of the person and the reason.",
    why: "A server cannot know whether a new machine is the one that it claims to be. A person can check.",
    without: "A holder of the token could get a certificate for any name, even that of another machine.",
  },
  rule: {
    chapter: "approval",
    title: ({ count }) => count === 1 ? "A rule lets the next machines in" : "A rule lets the other machines in",
    happens:
      "A role binding gives the group of the token the right to node certificates. For each request the approver " +
      "asks the API whether its sender has this right, and approves.",
    why: "A rule decides two hundred requests as well as one, always in the same way, and it can be read and tested.",
    without: "Every machine would wait for a person. People who approve hundreds of requests stop reading them.",
  },
  issue: {
    chapter: "approval",
    title: () => "The signer issues, and the machines store their certificates",
    happens: "The signer checks the approved requests against its profile and signs certificates with the key of the " +
      "CA. Each machine writes its key, its certificate and a kubeconfig.",
    why: "The profile limits what a certificate may say: for a node its name, the group system:nodes, and a year.",
    without: "A signer that copied everything would also sign what an approver overlooked, such as another group.",
  },
  use: {
    chapter: "approval",
    title: () => "node-1 calls the API with its new certificate",
    happens:
      "node-1 proves in the TLS handshake that it has the key. The API server takes the user and the groups from " +
      "the certificate.",
    why:
      "From now on the machine has its own identity. It no longer needs the token, and its rights are those of its name.",
    without: "All machines with the same token would be the same user. None could be limited or locked out alone.",
  },
  refusal: {
    chapter: "refusal",
    title: () => "mallory has the token, asks to be an administrator, and is refused",
    happens: "mallory asks for a certificate in the group system:masters, which may do everything. The API server " +
      "refuses the request before any approver sees it.",
    why: "No role can limit the rights of this group, so this signer issues no certificate for it.",
    without: "One careless approval would make an administrator, for as long as the certificate is valid.",
  },
  renewal: {
    chapter: "renewal",
    title: () => "node-1 gets its next certificate with its current one",
    happens:
      "node-1 makes a new key and asks for its next certificate. Its current one authenticates the request, and a " +
      "rule lets each node renew its own name. kubelet and tlsboot bootstrap --rotate-certificates do this by themselves when " +
      "70 to 90 % of the lifetime has passed. The demo does not wait for ten months, and does it now.",
    why: "Short lifetimes limit what a lost key is worth. Renewal needs no token and no person, so they cost nothing.",
    without: "Every machine would stop working a year after its first day, and a person would have to set it up again.",
  },
  short: {
    chapter: "expiry",
    title: () => `${SLEEPER} gets a certificate for ${SHORT_LIFE_SECONDS} seconds, and is switched off`,
    happens:
      "The server is started again with a limit of five seconds for new certificates, so that an expiry can be " +
      "watched. A request cannot ask for less than ten minutes, but the signer may grant less.",
    why: "A certificate has an end, so that it needs no list and no connection to become worthless.",
    without: "A disk in a drawer would be a key to the API for all time.",
  },
  expired: {
    chapter: "expiry",
    title: () => "The certificate expires, and the API refuses it",
    happens:
      "The machine is switched on again after the end of its certificate. The API server compares the dates of " +
      "the certificate with its clock, and answers 401.",
    why:
      "The refusal does not depend on the machine: it cannot extend a certificate, because the CA has signed the dates.",
    without: "Renewal would be a request that a machine may ignore, and old keys would stay valid.",
  },
  recovery: {
    chapter: "expiry",
    title: () => `${SLEEPER} comes back by itself, without a token`,
    happens:
      `The server is started as tlsboot up --node-recovery ${RECOVERY_DAYS}d. It now accepts an expired certificate of a ` +
      "node for one purpose: to request the next one, with one new key.",
    why: "The machine still proves that it has its key, and the register knows that no newer certificate was issued.",
    without: "A person would have to carry a new token to every machine that was switched off for too long.",
  },
  theft: {
    chapter: "theft",
    title: ({ victim }) => `A thief copies the files of ${victim}, and watches all requests`,
    happens:
      "The thief has the key and the certificate, so the API server cannot distinguish the thief from the machine. An " +
      "open watch receives every change of a request.",
    why: "A private key is a file. A stolen disk, a backup or a snapshot of a machine is enough.",
    without: "Without a way to take certificates back, the thief would stay until the certificate expires: a year.",
  },
  revocation: {
    chapter: "theft",
    title: ({ victim }) => `${victim} is revoked: the watch ends, and the certificate is refused`,
    happens: "The revocation is an object in the API. Every server of the installation closes the connections of the " +
      "revoked certificates, answers 401 to them, and signs no request for the name.",
    why: "The CA's signature on the certificate is still valid. Only a list of what was taken back can say otherwise.",
    without: "A server that checks a certificate only in the handshake would let the open watch run for hours.",
  },
  replacement: {
    chapter: "theft",
    title: ({ victim }) => `${victim} is set up again, and the thief stays out`,
    happens:
      "An administrator makes a token for this one name, which also approves the request. The machine gets a new key and a " +
      "new certificate. The stolen copy still gets 401.",
    why: "Only a token that was made after the revocation, for this name, can give the name to a new key.",
    without: "The name would be lost, or the thief could take it back with the old token.",
  },
} as const satisfies Record<string, StepText>;

const NUMBERS = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten"];

/** Writes a small number as a word, because the title follows the number of its step. */
function writeNumber(count: number): string {
  return NUMBERS[count] ?? String(count);
}

export type StepId = keyof typeof STEPS;

/** The names of the steps in the order of the story. */
// The keys of an object literal are in the order in which they are written.
export const STEP_IDS = Object.keys(STEPS) as readonly StepId[];

export function findChapter(id: StepId): Chapter {
  const { chapter } = STEPS[id];
  const found = CHAPTERS.find((item) => item.id === chapter);
  if (found === undefined) throw new Error(`no chapter ${chapter}`);
  return found;
}

/** One event, in the order in which the demo caused or observed it. */
export type StoryEvent =
  /** The next step begins; the audience finds its texts in the chapters. */
  | { readonly kind: "step"; readonly id: StepId; readonly cast: Cast }
  /** A command that does the same by hand. */
  | { readonly kind: "command"; readonly text: string }
  /** The answer of a program or of the server. */
  | { readonly kind: "answer"; readonly text: string }
  /** A fact as text; `isVerified` if the demo has checked it. */
  | { readonly kind: "fact"; readonly text: string; readonly isVerified?: boolean }
  | PictureEvent
  /** The last step is done, and the server still runs. */
  | { readonly kind: "end" };

type PictureEvent =
  | { readonly kind: "authority"; readonly name: string }
  | { readonly kind: "serving"; readonly url: string }
  /** The server has stopped, and will start again with other settings. */
  | { readonly kind: "stopped" }
  | { readonly kind: "requested"; readonly machine: string }
  | { readonly kind: "approved"; readonly machine: string; readonly by: ApprovedBy }
  | { readonly kind: "issued"; readonly machine: string; readonly notAfter: Date }
  /** The API server has refused a request, before it was stored. */
  | { readonly kind: "refused"; readonly requester: string }
  /** The API has answered a call with a machine's certificate. */
  | { readonly kind: "accepted"; readonly machine: string }
  | { readonly kind: "switchedOff"; readonly machine: string }
  | { readonly kind: "expired"; readonly machine: string }
  /** A thief has copied the files of a machine. */
  | { readonly kind: "copied"; readonly machine: string }
  | { readonly kind: "watching" }
  | { readonly kind: "revoked"; readonly machine: string }
  /** The watch of the thief has ended. */
  | { readonly kind: "cutOff"; readonly afterMs: number }
  /** The files of a machine were removed, so that it starts from nothing. */
  | { readonly kind: "wiped"; readonly machine: string };

/** A decision about a request: by a person, by a role binding, or by the token that it was made with. */
export type ApprovedBy = "person" | "rule" | "token";

export type Audience = (event: StoryEvent) => void;

/** Decides when the story continues with its next step. */
export interface Pace {
  /** Resolves when the next step may begin. */
  wait(signal: AbortSignal): Promise<void>;
}
