/** The parts of the web app: pages that show something, and actions that the forms of pages send. */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { Clock, Random } from "../core/ports.ts";
import type { UiData } from "./data.ts";
import type { ApiConnection } from "../client/objects/api.ts";

/** The ports that the page gets from the program that starts it. */
export interface UiPorts {
  readonly clock: Clock;
  readonly random: Random;
}

/** The flags that select an API server in a command, each after a space; empty if the defaults select it. */
export interface CommandFlags {
  readonly tlsboot: string;
  readonly kubectl: string;
}

/** The data and the tools of a page or an action. */
export interface UiContext {
  readonly data: UiData;
  /** The connection with the user's own kubeconfig: every read and write has the user's rights. */
  readonly connection: ApiConnection;
  readonly io: UiPorts;
  /** The values of `:name` in the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The flags with which commands use the same connection. */
  readonly flags: CommandFlags;
  readonly now: Date;
  /** The token that each form needs; `PostForm` adds it. */
  readonly formToken: string;
  readonly signal: AbortSignal;
}

export type UiElement = JSX.Element;

export interface UiContent {
  readonly title: string;
  /** The first heading; by default the title. */
  readonly heading?: string;
  readonly body: UiElement;
  /** The watches that the open page follows instead of `UiPage.live`: `id`, or `id:NAME` for one object of a watch. */
  readonly live?: readonly string[];
}

/** A page of the web app. */
export interface UiPage {
  /** The path, with `:name` for a variable part, as in Hono. */
  readonly path: string;
  /** The label in the navigation; a page without one is linked from another page. */
  readonly nav?: string;
  /** The ids of the watches whose changes the page shows while it is open. */
  readonly live: readonly string[];
  render(context: UiContext): UiContent | Promise<UiContent>;
}

/** The result of an action: a redirect, usually with a message, or content to show. */
export type UiOutcome =
  | { readonly kind: "moved"; readonly location: string; readonly message?: string }
  | { readonly kind: "shown"; readonly content: UiContent };

/** A form that a page sends. */
export interface UiAction {
  readonly path: string;
  /** Carries out the form. Throws AppError, whose message and hint are then shown. */
  run(context: UiContext, form: URLSearchParams): Promise<UiOutcome>;
}
