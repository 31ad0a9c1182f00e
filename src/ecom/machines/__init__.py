"""The services' state machines as pictures and tables for people, made of the very tables that the code decides by.

Reading path: `machine` (what a machine is) → `drawing` (its Mermaid diagram and its table) → `shop` (which there are,
and the two documents that hold them). `./ecom machines` writes both; a test keeps them fresh.
"""
