/** The frame of every page (head, navigation, messages), parts of pages, and the pages for failures and for logins. */
import type { PropsWithChildren } from "hono/jsx";
import { formatHumanDuration } from "../core/lib/duration.ts";
import { formatTime } from "../core/kube/meta.ts";
import type { UiFault } from "./data.ts";
import type { UiContent, UiContext, UiElement } from "./page.ts";
import type { Notice } from "./access.ts";

export interface NavEntry {
  readonly path: string;
  readonly label: string;
}

/** The content of a page, and the content of the frame around it. */
interface FrameOptions {
  readonly content: UiContent;
  readonly nav: readonly NavEntry[];
  readonly path: string;
  /** The server and the user of the connection, as text. */
  readonly place: string;
  readonly formToken: string;
  readonly notices: readonly Notice[];
  readonly faults: readonly UiFault[];
  /** The ids of the watches that the page shows, and their state when it was rendered. */
  readonly live: readonly string[];
  readonly version: string;
  /** The number of pending requests, for the title and the navigation, and the path of their page. */
  readonly pending: number;
  readonly requestsPath: string;
}

/** A whole page of a session. */
export function Frame(options: FrameOptions): UiElement {
  const { content, nav, path, place, formToken, notices, faults, live, version, pending, requestsPath } = options;
  return (
    <html lang="en">
      <Head title={pending === 0 ? content.title : `(${pending}) ${content.title}`} />
      <body data-live={live.join(",")} data-version={version}>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="top">
          <a class="brand" href="/">tlsboot</a>
          <nav aria-label="Pages">
            <ul id="nav" data-swap>
              {nav.map((entry) => (
                <li>
                  <a href={entry.path} aria-current={isWithin(path, entry.path) ? "page" : undefined}>
                    {entry.path === requestsPath && pending > 0 ? `${entry.label} (${pending})` : entry.label}
                  </a>
                </li>
              ))}
            </ul>
          </nav>
          <form method="post" action="/logout" class="logout">
            <input type="hidden" name="token" value={formToken} />
            <button type="submit" class="quiet">Sign out</button>
          </form>
        </header>
        <main id="main" tabindex={-1}>
          <h1 id="title" data-swap>{content.heading ?? content.title}</h1>
          <div id="connection" role="status" aria-live="polite" />
          <div id="faults" role="status" aria-live="polite" data-swap>
            {faults.map(({ id, error }) => (
              <p class="notice fault">
                {`The ${id} shown here may be out of date: ${error.message}. The page keeps trying to read them.`}
              </p>
            ))}
          </div>
          {notices.map(({ kind, text }) => (
            <p class={`notice ${kind}`} role={kind === "fault" ? "alert" : "status"}>{text}</p>
          ))}
          {content.body}
        </main>
        <footer>
          <p>{place}</p>
        </footer>
      </body>
    </html>
  );
}

/** A page without a session: it shows nothing of the API. */
export function BarePage({ title, children }: PropsWithChildren<{ readonly title: string }>): UiElement {
  return (
    <html lang="en">
      <Head title={title} />
      <body>
        <main id="main">
          <h1>{title}</h1>
          {children}
        </main>
      </body>
    </html>
  );
}

function Head({ title }: { readonly title: string }): UiElement {
  return (
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <title>{`${title} · tlsboot`}</title>
      <link rel="icon" href="/icon.svg" type="image/svg+xml" />
      <link rel="stylesheet" href="/style.css" />
      <script src="/script.js" defer />
    </head>
  );
}

/** Reports whether a page is the one of a navigation entry, or below it. */
function isWithin(path: string, entry: string): boolean {
  return path === entry || path.startsWith(`${entry}/`);
}

interface PostFormProps {
  readonly context: Pick<UiContext, "formToken">;
  readonly action: string;
  /** Values that are sent along, such as the uid and the resource version that the user has seen. */
  readonly hidden?: Readonly<Record<string, string>>;
  readonly id?: string;
}

/** A form that changes something, with the token of the session. */
export function PostForm({ context, action, hidden = {}, id, children }: PropsWithChildren<PostFormProps>): UiElement {
  return (
    <form method="post" action={action} id={id}>
      <input type="hidden" name="token" value={context.formToken} />
      {Object.entries(hidden).map(([name, value]) => <input type="hidden" name={name} value={value} />)}
      {children}
    </form>
  );
}

/** A column of a table: its heading, and the cell of a row. */
interface UiColumn<T> {
  readonly heading: string;
  cell(row: T): UiElement | string;
}

interface DataTableProps<T> {
  /** Describes the table, for users who cannot see it. */
  readonly caption: string;
  readonly columns: readonly UiColumn<T>[];
  readonly rows: readonly T[];
  /** The sentence that is shown in place of an empty table. */
  readonly empty: string;
  /** Whether a card has no labels, and shows only the beginning of the third column. */
  readonly isCompact?: boolean;
}

/** A table that becomes a list of cards on a narrow screen. The roles keep it a table for screen readers. */
export function DataTable<T>({ caption, columns, rows, empty, isCompact = false }: DataTableProps<T>): UiElement {
  if (rows.length === 0) return <p class="empty">{empty}</p>;
  return (
    <table role="table" class={isCompact ? "compact" : undefined}>
      <caption>{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ heading }) => <th role="columnheader" scope="col">{heading}</th>)}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr role="row">
            {columns.map(({ heading, cell }) => (
              <td role="cell">
                <span class="label" aria-hidden="true">{heading}</span>
                <span class="value">{cell(row)}</span>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A time relative to now, `5m ago` or `in 3d`, with the exact time as a tooltip. */
export function Moment({ at, now }: { readonly at: Date | string | undefined; readonly now: Date }): UiElement {
  const date = new Date(at ?? Number.NaN);
  if (Number.isNaN(date.getTime())) return <span>–</span>;
  const text = formatTime(date);
  const distance = now.getTime() - date.getTime();
  const words = distance < 0 ? `in ${formatHumanDuration(-distance)}` : `${formatHumanDuration(distance)} ago`;
  return <time datetime={text} title={text}>{words}</time>;
}

/** Facts as a list of names and values; a fact without a value is left out. */
export function Facts(
  { facts }: { readonly facts: readonly (readonly [name: string, value: UiElement | string | undefined])[] },
): UiElement {
  return (
    <dl class="facts">
      {facts.filter(([, value]) => value !== undefined && value !== "").map(([name, value]) => (
        <div>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Explains how a browser without a session gets one. */
export function LoginHelp({ text }: { readonly text: string }): UiElement {
  return (
    <>
      <p class="lead">{text}</p>
      <p>
        Run <code>tlsboot ui</code> and open the link that it prints. A link works once, within 15 minutes.
      </p>
    </>
  );
}

/** Shows what has failed, and the next step. */
export function FailedBody(
  { message, hint }: { readonly message: string; readonly hint: string | undefined },
): UiElement {
  return (
    <div id="failure" data-swap>
      <p class="notice fault" role="alert">{message}</p>
      {hint === undefined ? "" : <p>{`Next: ${hint}`}</p>}
      <p>
        <a href="/">Back to the first page</a>
      </p>
    </div>
  );
}

/** Reports that there is no page at an address. */
export function NotFoundBody(): UiElement {
  return (
    <p>
      There is nothing at this address. <a href="/">Back to the first page</a>
    </p>
  );
}
