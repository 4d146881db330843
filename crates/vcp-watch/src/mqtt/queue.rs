//! Messages that wait for a broker.
//!
//! What was on its way when a connection broke is sent again. A broker has no word for refusing a message: it ends the
//! connection, or does not acknowledge. So what was on its way then is sent one by one afterwards, and a message with
//! which alone that happens again and again, while others are acknowledged, is given up. Where none is acknowledged, it is
//! the broker that cannot, and all of them wait.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Messages that are on their way at a time.
pub(super) const WINDOW: usize = 32;

/// How many connections a message may take with it, being alone on its way, before others go first and it may be given up.
const MOST_BREAKS: u32 = 5;

/// How long a broker may take to acknowledge.
const LONGEST_WAIT: Duration = Duration::from_secs(45);

/// A message for a broker.
#[derive(Debug)]
pub(super) struct Message {
    /// Whether it is of the status; else it is of a result.
    pub(super) is_status: bool,
    pub(super) payload: Vec<u8>,
    /// By what its result is known, if somebody keeps it until it has been passed on.
    pub(super) key: Option<String>,
    /// Since when it is on its way.
    since: Option<Instant>,
    /// Its identifier on the way.
    packet: Option<u16>,
    breaks: u32,
    /// How many messages had been acknowledged when that first happened.
    acknowledged_before: Option<u64>,
}

impl Message {
    pub(super) fn status(payload: Vec<u8>) -> Self {
        Self {
            is_status: true,
            ..Self::result(payload, None)
        }
    }

    pub(super) fn result(payload: Vec<u8>, key: Option<String>) -> Self {
        Self {
            is_status: false,
            payload,
            key,
            since: None,
            packet: None,
            breaks: 0,
            acknowledged_before: None,
        }
    }
}

/// Messages in their order; the first of them may be on their way.
#[derive(Debug)]
pub(super) struct Queue {
    messages: VecDeque<Message>,
    /// How many of the first are on their way.
    on_way: usize,
    /// How many of the first were on their way when a connection broke, and are sent one by one.
    suspects: usize,
    /// Messages that have been acknowledged.
    acknowledged: u64,
    /// Results among them.
    results: usize,
    /// Bytes of all.
    bytes: usize,
    /// Most results, and most bytes.
    most: (usize, usize),
}

impl Queue {
    pub(super) fn new(most_results: usize, most_bytes: usize) -> Self {
        Self {
            messages: VecDeque::new(),
            on_way: 0,
            suspects: 0,
            acknowledged: 0,
            results: 0,
            bytes: 0,
            most: (most_results, most_bytes),
        }
    }

    /// Results that wait or are not acknowledged.
    pub(super) fn results(&self) -> usize {
        self.results
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Adds a message. Gives the oldest results where there are too many now, which are in it no more; the new message
    /// stays, and so do those that are on their way.
    pub(super) fn push(&mut self, message: Message) -> Vec<Message> {
        if message.is_status {
            // Nobody needs the older one.
            let waits = self.on_way..self.messages.len();
            let older = waits.rev().find(|&index| self.messages[index].is_status);
            if let Some(index) = older {
                self.remove(index);
            }
        }
        self.add(message);
        let mut dropped = Vec::new();
        // No result is dropped for the sake of the status, which is short.
        let is_result = !self
            .messages
            .back()
            .is_some_and(|message| message.is_status);
        while is_result && (self.results > self.most.0 || self.bytes > self.most.1) {
            let mut waits = self.on_way..self.messages.len() - 1;
            let oldest = waits.find(|&index| !self.messages[index].is_status);
            let Some(oldest) = oldest.and_then(|index| self.remove(index)) else {
                break;
            };
            dropped.push(oldest);
        }
        dropped
    }

    /// The next message that may be sent now.
    pub(super) fn next(&self) -> Option<&Message> {
        let window = if self.suspects > 0 { 1 } else { WINDOW };
        self.messages
            .get(self.on_way)
            .filter(|_| self.on_way < window)
    }

    /// That message is on its way.
    pub(super) fn hand_out(&mut self, now: Instant) {
        if let Some(message) = self.messages.get_mut(self.on_way) {
            message.since = Some(now);
            self.on_way += 1;
        }
    }

    /// The first of those on their way that has no identifier has got this one.
    pub(super) fn identify(&mut self, packet: u16) {
        let mut on_way = self.messages.iter_mut().take(self.on_way);
        if let Some(message) = on_way.find(|message| message.packet.is_none()) {
            message.packet = Some(packet);
        }
    }

    /// Takes out the message of this identifier.
    pub(super) fn acknowledge(&mut self, packet: u16) -> Option<Message> {
        let mut on_way = self.messages.iter().take(self.on_way);
        let index = on_way.position(|message| message.packet == Some(packet))?;
        self.acknowledged += 1;
        self.remove(index)
    }

    /// Whether a message waits too long to be acknowledged.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        let mut on_way = self.messages.iter().take(self.on_way);
        on_way.any(|message| {
            let since = message.since.unwrap_or(now);
            now.saturating_duration_since(since) > LONGEST_WAIT
        })
    }

    /// The connection has ended, and nothing is on its way any more. Gives the message that is given up, if there is
    /// one.
    pub(super) fn interrupt(&mut self) -> Option<Message> {
        let on_way = std::mem::take(&mut self.on_way);
        for message in self.messages.iter_mut().take(on_way) {
            message.packet = None;
            message.since = None;
        }
        self.suspects = self.suspects.max(on_way);
        let acknowledged = self.acknowledged;
        let first = self.messages.front_mut().filter(|_| on_way == 1)?;
        first.breaks += 1;
        let before = *first.acknowledged_before.get_or_insert(acknowledged);
        if first.breaks < MOST_BREAKS {
            return None;
        }
        let first = self.remove(0)?;
        if acknowledged > before {
            return Some(first);
        }
        self.add(first);
        None
    }

    fn add(&mut self, message: Message) {
        self.bytes += message.payload.len();
        self.results += usize::from(!message.is_status);
        self.messages.push_back(message);
    }

    fn remove(&mut self, index: usize) -> Option<Message> {
        let message = self.messages.remove(index)?;
        self.bytes -= message.payload.len();
        self.results -= usize::from(!message.is_status);
        self.on_way -= usize::from(index < self.on_way);
        self.suspects -= usize::from(index < self.suspects);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(number: u8) -> Message {
        Message::result(vec![number], Some(number.to_string()))
    }

    /// Hands out all that may be sent; gives their numbers.
    fn send(queue: &mut Queue) -> Vec<u8> {
        let mut sent = Vec::new();
        while let Some(message) = queue.next() {
            sent.push(message.payload[0]);
            queue.hand_out(Instant::now());
            queue.identify(100 + u16::from(sent[sent.len() - 1]));
        }
        sent
    }

    fn numbers(messages: &[Message]) -> Vec<u8> {
        messages.iter().map(|message| message.payload[0]).collect()
    }

    #[test]
    fn messages_leave_when_they_are_acknowledged_in_whatever_order() {
        let mut queue = Queue::new(10, 100);
        for number in 0..3 {
            assert!(queue.push(result(number)).is_empty());
        }
        assert_eq!(send(&mut queue), [0, 1, 2]);
        assert_eq!(queue.acknowledge(101).unwrap().key.as_deref(), Some("1"));
        assert!(queue.acknowledge(101).is_none());
        assert!(queue.interrupt().is_none());
        // Again those that were not, one by one.
        assert_eq!(send(&mut queue), [0]);
        assert!(queue.acknowledge(100).is_some());
        assert_eq!(send(&mut queue), [2]);
        assert!(queue.acknowledge(102).is_some());
        assert!(queue.is_empty());
        for number in 3..5 {
            queue.push(result(number));
        }
        assert_eq!(send(&mut queue), [3, 4]);
    }

    #[test]
    fn the_oldest_are_dropped_by_number_and_by_bytes() {
        let mut queue = Queue::new(3, 10);
        for number in 0..3 {
            queue.push(result(number));
        }
        queue.next().unwrap();
        queue.hand_out(Instant::now());
        assert_eq!(numbers(&queue.push(result(3))), [1]);
        let long = Message::result(vec![4; 9], None);
        assert_eq!(numbers(&queue.push(long)), [2, 3]);
        // What is on its way and what is new stay.
        assert_eq!(queue.results(), 2);
        assert_eq!(
            numbers(&queue.push(Message::result(vec![5; 20], None))),
            [4]
        );
        // Of the status the newest counts, and it is not among the results.
        queue.push(Message::status(vec![6]));
        queue.push(Message::status(vec![7]));
        assert_eq!(queue.results(), 2);
        assert_eq!(queue.messages.len(), 3);
    }

    #[test]
    fn what_breaks_each_connection_is_given_up_and_the_rest_passes() {
        let mut queue = Queue::new(10, 100);
        for number in 0..5 {
            queue.push(result(number));
        }
        let (mut passed, mut given_up) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            while let Some(message) = queue.next() {
                let number = message.payload[0];
                queue.hand_out(Instant::now());
                queue.identify(number.into());
                if number == 2 {
                    break;
                }
            }
            // The broker acknowledges nothing of a burst with a message that it refuses.
            if queue.on_way == 1 && queue.messages[0].payload != [2] {
                let packet = queue.messages[0].payload[0];
                passed.push(queue.acknowledge(packet.into()).unwrap());
            } else {
                given_up.extend(queue.interrupt());
            }
        }
        assert_eq!(numbers(&given_up), [2]);
        assert_eq!(numbers(&passed), [0, 1, 3, 4]);
    }

    #[test]
    fn where_nothing_is_acknowledged_nothing_is_given_up() {
        let mut queue = Queue::new(10, 100);
        for number in 0..3 {
            queue.push(result(number));
        }
        for _ in 0..50 {
            while queue.next().is_some() {
                queue.hand_out(Instant::now());
            }
            assert!(queue.interrupt().is_none());
        }
        assert_eq!(queue.results(), 3);
        // Until the broker can again.
        let mut passed = Vec::new();
        while !queue.is_empty() {
            for number in send(&mut queue) {
                passed.extend(queue.acknowledge(100 + u16::from(number)));
            }
        }
        let mut passed = numbers(&passed);
        passed.sort_unstable();
        assert_eq!(passed, [0, 1, 2]);
    }

    #[test]
    fn who_does_not_acknowledge_is_stuck() {
        let mut queue = Queue::new(10, 100);
        let now = Instant::now();
        queue.push(result(1));
        assert!(!queue.is_stuck(now + 2 * LONGEST_WAIT));
        queue.hand_out(now);
        assert!(!queue.is_stuck(now + LONGEST_WAIT));
        assert!(queue.is_stuck(now + 2 * LONGEST_WAIT));
    }
}
