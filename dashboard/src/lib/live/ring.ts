/** The last `capacity` items, oldest first. Pushing is O(1); nothing in it ever grows. */
export class Ring<T> {
  private items: (T | undefined)[];
  private next = 0;
  private count = 0;
  readonly capacity: number;
  constructor(capacity: number) {
    this.capacity = capacity;
    this.items = Array.from({ length: capacity });
  }
  push(item: T): void {
    this.items[this.next] = item;
    this.next = (this.next + 1) % this.capacity;
    this.count = Math.min(this.count + 1, this.capacity);
  }
  get length(): number {
    return this.count;
  }
  toArray(): T[] {
    const start = (this.next - this.count + this.capacity) % this.capacity;
    return Array.from({ length: this.count }, (_, i) => this.items[(start + i) % this.capacity] as T);
  }
  clear(): void {
    this.items.fill(undefined);
    this.next = this.count = 0;
  }
}
