/** A queue that is read from the front without moving what is behind it. */

/** So much read is cut off at once: an array that is shifted moves all of its elements when there are thousands. */
const cutAt = 1_024;

export class Fifo<Item> {
  #items: Item[] = [];
  #read = 0;

  get length(): number {
    return this.#items.length - this.#read;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  clear(): void {
    this.#items = [];
    this.#read = 0;
  }

  /** Undefined when it is empty. */
  shift(): Item | undefined {
    const item = this.#items[this.#read];
    if (item === undefined) return undefined;
    // Not held any longer than it is in the queue.
    this.#items[this.#read++] = undefined as Item;
    if (this.#read === this.#items.length || this.#read >= cutAt) {
      this.#items = this.#items.slice(this.#read);
      this.#read = 0;
    }
    return item;
  }

  /** The last ones, as far as `belongs` holds from the end on. */
  tail(belongs: (item: Item) => boolean): Item[] {
    let first = this.#items.length;
    while (first > this.#read && belongs(this.#items[first - 1] as Item)) first--;
    return this.#items.slice(first);
  }
}
