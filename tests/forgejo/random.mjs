// A generator of numbers that a seed repeats (mulberry32).
export class Random {
    constructor(seed) { this.state = seed >>> 0; }

    next() { // 0 <= x < 1
        this.state = (this.state + 0x6d2b79f5) >>> 0;
        let t = this.state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    }

    below(n) { return Math.floor(this.next() * n); }
    chance(p) { return this.next() < p; }
    pick(list) { return list[this.below(list.length)]; }
    // One of the keys of { word: weight }.
    weighted(weights) {
        let left = this.next() * Object.values(weights).reduce((sum, weight) => sum + weight, 0);
        for (const [word, weight] of Object.entries(weights)) if ((left -= weight) < 0) return word;
        return Object.keys(weights)[0];
    }
}
