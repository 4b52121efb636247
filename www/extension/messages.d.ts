/** What goes through the port between a popup and the document of the node. */

/** A page's place in the space: `["notes", origin, pathname]`. */
export type Page = [string, string, string];

export interface Note {
  id: string;
  /** Undefined until it has arrived. */
  text?: string;
  user: string;
  isOwn: boolean;
  /** Milliseconds of the Unix epoch. */
  at: number;
}

/** Of the node as a whole. Without `access` there is no space yet. */
export interface State {
  type: "state";
  relays: string[];
  access?: "read" | "write";
  relay?: { state: "none" | "connected" | "connecting" | "denied"; reason: string | null };
  /** Why there is no node. */
  problem?: string;
  storage?: "ok" | "full" | "readOnly" | "lost";
  /** How many peers are connected. */
  connected: number;
  /** How many entries no other node is known to hold. */
  unheld: number;
}

/** What a popup asks for; each is answered. A text that is empty deletes the note. */
export type Request =
  | { type: "create" }
  | { type: "leave" }
  | { type: "join"; link: string }
  | { type: "share"; access: "read" | "write" }
  | { type: "write"; note: string; text: string }
  | { type: "setRelays"; relays: string[] };

/** What is done when a popup asks. */
export type Commands<P> = { [T in Request["type"]]: (request: Extract<Request, { type: T }>, popup: P) => Promise<string | void> };

/** The first thing that a popup says: which page it is about, if there can be notes on it. */
export type Greeting = { type: "page"; page?: Page };

export type ToNode = Greeting | (Request & { id: number });

export type ToPopup =
  | State
  | { type: "notes"; notes: Note[] }
  | { type: "answer"; id: number; value?: string; error?: { code?: string; message: string } };
