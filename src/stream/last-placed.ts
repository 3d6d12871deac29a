/** The newest batch of a stream that has its place and is not committed yet: all before it are committed when it is. */
export class LastPlaced {
  #appending: Promise<unknown> | undefined;

  /** A batch has its place; `appending` resolves when it is committed. */
  placed(appending: Promise<unknown>): void {
    this.#appending = appending;
    const forget = () => {
      // An idle stream keeps nothing.
      if (this.#appending === appending) this.#appending = undefined;
    };
    appending.then(forget, forget);
  }

  /** Resolves when all that has its place now is committed. @throws {Error} What it was refused with instead. */
  async committed(): Promise<void> {
    await this.#appending;
  }
}
