/** Where what is known of applications lies: one text for each. */
export type TokenStore = {
  read: (applicationId: string) => Promise<string | undefined>;
  /** Writes, unless somebody else has written since `before` was read: then `false`. */
  replace: (
    applicationId: string,
    before: string | undefined,
    after: StoredTokens,
  ) => Promise<boolean>;
  /** Notes whose a token is. Resolves with who had it first, if that was another application. */
  claim: (fingerprint: string, applicationId: string, until: number) => Promise<string | undefined>;
  /**
   * Forgets whose these tokens were, where they were this application's. Resolves with those that are
   * another's.
   */
  disown: (fingerprints: readonly string[], applicationId: string) => Promise<string[]>;
  /** All of which something is known. */
  applications: () => AsyncIterable<string>;
  /** The applications whose newest token was received in this span, oldest first. */
  receivedBetween: (from: number, to: number, limit: number) => Promise<string[]>;
  countReceivedBetween: (from: number, to: number) => Promise<number>;
};

export type StoredTokens = {
  text: string;
  /** When the newest token was received; absent where there is none. */
  receivedAt?: number;
  /** Until when it is kept; absent: as before. */
  until?: number;
  /** Tokens received before need no longer be listed by their age. */
  forgotten: number;
};
