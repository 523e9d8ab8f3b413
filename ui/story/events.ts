/** The events of the demo's story. The terminal prints them, and the page draws them. */
import type { Cast, StepId } from "./chapters.ts";

/** One event, in the order in which the demo caused or observed it. */
export type StoryEvent =
  /** The next step begins; the audience finds its texts in the chapters. */
  | { readonly kind: "step"; readonly id: StepId; readonly cast: Cast }
  /** A command that does the same by hand. */
  | { readonly kind: "command"; readonly text: string }
  /** The answer of a program or of the server. */
  | { readonly kind: "answer"; readonly text: string }
  /** A fact in words; `isVerified` when the demo has checked it. */
  | { readonly kind: "fact"; readonly text: string; readonly isVerified?: boolean }
  | PictureEvent
  /** The last step is done, and the server still runs. */
  | { readonly kind: "end" };

export type PictureEvent =
  | { readonly kind: "authority"; readonly name: string }
  | { readonly kind: "serving"; readonly url: string }
  /** The server has stopped, and will start again with other settings. */
  | { readonly kind: "stopped" }
  | { readonly kind: "requested"; readonly machine: string }
  | { readonly kind: "approved"; readonly machine: string; readonly by: ApprovedBy }
  | { readonly kind: "issued"; readonly machine: string; readonly notAfter: Date }
  /** The API server has refused a request, before it was stored. */
  | { readonly kind: "refused"; readonly requester: string }
  /** The API has answered a call that was made with a machine's certificate. */
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
