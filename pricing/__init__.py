"""What a request costs: money, quantities, rates, price tables, plans.

Owns the arithmetic of prices and the knowledge of which price applies. Knows nothing of databases, HTTP,
accounts' names or logs, and never imports ``metering``. All amounts are integers: pico-USD (1e-12) for prices,
nano-USD (1e-9) for charges.
"""
